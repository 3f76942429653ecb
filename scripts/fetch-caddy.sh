#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-caddy.sh DIR: make DIR/caddy, whose ACME server is of yet another make (smallstep's), for the tests.
#
# Debian 12's is too old; the binaries of newer suites need nothing but libc. It is downloaded and unpacked, not
# installed; an installed one is used as it is. Exits with 1 and a reason where neither can be had.
set -euo pipefail
dir=${1:?directory}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

new_enough() { [ -x "$1" ] && [ "$("$1" version 2>/dev/null | sed -n 's/^v\{0,1\}2\.\([0-9]*\).*/\1/p')" -ge 8 ] 2>/dev/null; }

mkdir -p "$dir"
exec 8>"$dir/.caddy.lock"
flock 8
if new_enough "$dir/caddy"; then exit 0; fi
installed=$(command -v caddy || true)
if new_enough "$installed"; then
  ln -sf "$installed" "$dir/caddy"
  echo "caddy: using the installed $installed"
  exit 0
fi
for suite in forky sid; do
  rm -rf "$dir/deb-caddy"
  if version=$("$here/fetch-deb.sh" "$suite" "$dir/deb-caddy" caddy) && new_enough "$dir/deb-caddy/usr/bin/caddy"; then
    mv -f "$dir/deb-caddy/usr/bin/caddy" "$dir/caddy"
    rm -rf "$dir/deb-caddy"
    echo "caddy: $version"
    exit 0
  fi
done
rm -rf "$dir/deb-caddy"
echo "caddy: none of 2.8 or newer could be had from Debian, and none is installed" >&2
exit 1
