#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-iptables.sh DIR: make DIR/iptables, DIR/iptables-restore and DIR/ip6tables-restore, for emulated firewalls in
# network namespaces, and see to ip.
#
# An installed iptables is used as it is. Else Debian's is downloaded and unpacked with its libraries, not installed.
# Without either, the tests of the second data plane say so and are skipped (in CI they fail): no reason to stop here.
set -euo pipefail
dir=${1:?directory}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
tools=(iptables iptables-restore ip6tables-restore)
libraries=(libip4tc2 libip6tc2 libxtables12 libmnl0 libnftnl11 libnetfilter-conntrack3 libnfnetlink0)

work() { # all tools of this directory
  local tool
  for tool in "${tools[@]}"; do "$1/$tool" --version >/dev/null 2>&1 || return 1; done
}

wrapper() { # as the tool of its own name; libraries and extensions that were unpacked, found wherever the checkout lies
  cat <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for lib in "$here"/deb/usr/lib/*/xtables; do export XTABLES_LIBDIR="$lib"; done
export LD_LIBRARY_PATH="${XTABLES_LIBDIR%/xtables}"
exec "$here/deb/usr/sbin/xtables-nft-multi" "${0##*/}" "$@"
END
}

command -v ip >/dev/null || (need_package iproute2 "the tests' second data plane makes its links with ip") ||
  say "going on without ip"
if work "$dir"; then exit 0; fi
mkdir -p "$dir"
rm -rf "$dir/deb" "${tools[@]/#/$dir/}"
if installed=$(command -v "${tools[0]}") && work "${installed%/*}"; then
  for tool in "${tools[@]}"; do ln -s "${installed%/*}/$tool" "$dir/$tool"; done
  echo "iptables: using the installed $installed"
  exit 0
fi
# shellcheck disable=SC1091  # the machine's file
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
echo "iptables: downloading from Debian $suite (a few seconds, nothing is installed)"
if version=$("$here/fetch-deb.sh" "$suite" "$dir/deb" iptables "${libraries[@]}"); then
  for tool in "${tools[@]}"; do
    wrapper >"$dir/$tool"
    chmod +x "$dir/$tool"
  done
  if work "$dir"; then
    echo "iptables: $version"
    exit 0
  fi
fi
say "no usable iptables: put it on the PATH for the tests of the second data plane"
