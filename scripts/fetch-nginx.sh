#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-nginx.sh DIR: make DIR/nginx, for the test of a responder behind a reverse proxy.
#
# Of this machine's own Debian release, so that its libraries fit. It is downloaded and unpacked, not
# installed; an installed one is used as it is. Exits with 1 and a reason where neither can be had.
set -euo pipefail
dir=${1:?directory}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

starts() { "$1" -v 2>&1 | grep -q '^nginx version'; }

if [ -x "$dir/nginx" ] && starts "$dir/nginx"; then exit 0; fi
mkdir -p "$dir"
installed=$(PATH=$PATH:/usr/sbin command -v nginx || true)
if [ -n "$installed" ] && starts "$installed"; then
  ln -sf "$installed" "$dir/nginx"
  echo "nginx: using the installed $installed"
  exit 0
fi
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
# The binary is in nginx, in older releases in nginx-light.
for package in nginx nginx-light; do
  rm -rf "$dir/deb"
  if version=$("$here/fetch-deb.sh" "$suite" "$dir/deb" "$package") && [ -x "$dir/deb/usr/sbin/nginx" ] &&
    starts "$dir/deb/usr/sbin/nginx"; then
    mv -f "$dir/deb/usr/sbin/nginx" "$dir/nginx"
    rm -rf "$dir/deb"
    echo "nginx: $version"
    exit 0
  fi
done
rm -rf "$dir/deb"
echo "nginx: none could be had from Debian $suite, and none is installed" >&2
exit 1
