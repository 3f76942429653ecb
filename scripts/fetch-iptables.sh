#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-iptables.sh DIR: make DIR/iptables-restore, for emulated firewalls in network namespaces, and see to ip.
#
# An installed iptables is used as it is. Else Debian's is downloaded and unpacked with its libraries, not installed.
# Without either, the tests of the second data plane say so and are skipped (in CI they fail): no reason to stop here.
set -euo pipefail
dir=${1:?directory}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
libraries=(libip4tc2 libip6tc2 libxtables12 libmnl0 libnftnl11 libnetfilter-conntrack3 libnfnetlink0)

works() { "$1" --version >/dev/null 2>&1; }

wrapper() { # the libraries and extensions that were unpacked, found from wherever the checkout lies
  cat <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for lib in "$here"/deb/usr/lib/*/xtables; do export XTABLES_LIBDIR="$lib"; done
export LD_LIBRARY_PATH="${XTABLES_LIBDIR%/xtables}"
exec "$here/deb/usr/sbin/xtables-nft-multi" iptables-restore "$@"
END
}

command -v ip >/dev/null || (need_package iproute2 "the tests' second data plane makes its links with ip") ||
  say "going on without ip"
if works "$dir/iptables-restore"; then exit 0; fi
mkdir -p "$dir"
if installed=$(command -v iptables-restore) && works "$installed"; then
  ln -sfn "$installed" "$dir/iptables-restore"
  echo "iptables: using the installed $installed"
  exit 0
fi
# shellcheck disable=SC1091  # the machine's file
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
echo "iptables: downloading from Debian $suite (a few seconds, nothing is installed)"
rm -rf "$dir/deb" "$dir/iptables-restore"
if version=$("$here/fetch-deb.sh" "$suite" "$dir/deb" iptables "${libraries[@]}"); then
  wrapper >"$dir/iptables-restore"
  chmod +x "$dir/iptables-restore"
  if works "$dir/iptables-restore"; then
    echo "iptables: $version"
    exit 0
  fi
fi
say "no usable iptables: put it on the PATH for the tests of the second data plane"
