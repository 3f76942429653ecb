#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-pebble.sh DIR: make DIR/pebble and DIR/pebble-challtestsrv, Let's Encrypt's test CA and its DNS.
#
# Renewal information that tests can set (POST /set-renewal-info/) came with Pebble 2.8, which
# Debian 12 does not have. The binaries of Debian's newer suites need nothing but libc, so they are
# downloaded and unpacked here, not installed. An installed Pebble of 2.8 or newer is used as it is.
set -euo pipefail
dir=${1:?directory}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=(pebble pebble-challtestsrv)

# The binaries cannot say their version ("dev"), but 2.8 brought this path along.
new_enough() { grep -qa -- '/set-renewal-info/' "$1"; }
# Not by a pipe: grep ends at the first match, and a program that still writes then counts as failed.
starts() { grep -q -- '-dnsserver\|-dns01' <<<"$("$1" -help 2>&1 || true)"; }

usable() { # usable PEBBLE CHALLTESTSRV
  [ -x "$1" ] && [ -x "$2" ] && new_enough "$1" && starts "$1" && starts "$2"
}

if usable "$dir/pebble" "$dir/pebble-challtestsrv"; then exit 0; fi
mkdir -p "$dir"

installed=("$(command -v pebble || true)" "$(command -v pebble-challtestsrv || true)")
if usable "${installed[@]}"; then
  for i in 0 1; do ln -sf "${installed[i]}" "$dir/${tools[i]}"; done
  echo "pebble: using the installed ${installed[0]}"
  exit 0
fi

for suite in sid forky; do
  echo "pebble: downloading from Debian $suite (about 10 s, nothing is installed)"
  rm -rf "$dir/deb"
  if version=$("$here/fetch-deb.sh" "$suite" "$dir/deb" pebble) &&
    usable "$dir/deb/usr/bin/pebble" "$dir/deb/usr/bin/pebble-challtestsrv"; then
    for tool in "${tools[@]}"; do mv -f "$dir/deb/usr/bin/$tool" "$dir/$tool"; done
    rm -rf "$dir/deb"
    echo "pebble: $version"
    exit 0
  fi
done
rm -rf "$dir/deb"
cat >&2 <<TEXT
pebble: no usable Pebble >= 2.8 could be had. Remedies:
  - check that this machine reaches its Debian mirror (see the message above), or
  - put pebble and pebble-challtestsrv (2.8 or newer) on the PATH or into $dir
TEXT
exit 1
