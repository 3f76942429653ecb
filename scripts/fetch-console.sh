#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-console.sh DIR: make DIR/console/sshd and DIR/console/busybox, for emulated firewalls that are reached by SSH.
#
# Of this machine's own Debian release, so that its libraries fit. They are downloaded and unpacked, not installed; an
# installed sshd is used as it is, and an installed busybox if it is linked statically, as a firewall's shell runs
# without this machine's libraries. Exits with 1 and a reason where they cannot be had.
set -euo pipefail
dir=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)/console
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091  # the machine's file
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
PATH=$PATH:/usr/sbin:/sbin

# Without an option that it knows it says its version and how it is used.
is_sshd() { grep -q OpenSSH <<<"$("$1" -V 2>&1 || true)"; }
is_busybox() { grep -q '^BusyBox' <<<"$("$1" 2>&1 || true)"; }
static() { ! ldd "$1" >/dev/null 2>&1; }

wrapper() { # finds what was unpacked, wherever the checkout lies; sshd starts itself anew by the path it was started by
  cat <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for lib in "$here"/deb/usr/lib/*-linux-gnu; do export LD_LIBRARY_PATH="$lib"; done
exec "$here/deb/usr/sbin/sshd" "$@"
WRAPPER
}

mkdir -p "$dir"
exec 8>"$dir/.lock"
flock 8
if is_sshd "$dir/sshd" && is_busybox "$dir/busybox"; then exit 0; fi
rm -rf "$dir/deb" "$dir/sshd" "$dir/busybox"
packages=()
if installed=$(command -v sshd) && is_sshd "$installed"; then
  printf '#!/bin/sh\nexec %s "$@"\n' "$installed" >"$dir/sshd"
  echo "console: using the installed $installed"
else
  packages+=(openssh-server)
  wrapper >"$dir/sshd"
fi
if installed=$(command -v busybox) && is_busybox "$installed" && static "$installed"; then
  ln -s "$installed" "$dir/busybox"
else
  packages+=(busybox-static)
  ln -s deb/bin/busybox "$dir/busybox"
fi
chmod +x "$dir/sshd"
if [ "${#packages[@]}" -gt 0 ]; then
  version=$("$here/fetch-deb.sh" --needed "$suite" "$dir/deb" "${packages[@]}") || version=
  # Where / and /usr are one, the package has it below /usr.
  [ -e "$dir/deb/bin/busybox" ] || ln -sfn deb/usr/bin/busybox "$dir/busybox"
  echo "console: ${packages[*]} ${version:-could not be had}"
fi
if is_sshd "$dir/sshd" && is_busybox "$dir/busybox"; then exit 0; fi
rm -rf "$dir/deb" "$dir/sshd" "$dir/busybox"
echo "console: no OpenSSH server with busybox could be had from Debian $suite, and none is installed" >&2
exit 1
