#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-chromium.sh DIR: make DIR/chromium, the browser in which the tests look at the report.
#
# An installed chromium is used as it is. Else Debian's, the build without windows, is downloaded and unpacked with what
# it needs (about 70 MB), not installed. Exits with 1 and a reason where neither can be had.
set -euo pipefail
dir=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

starts() { "$1" --version 2>/dev/null | grep -qi chromium; }

wrapper() { # the libraries and fonts that were unpacked, found from wherever the checkout lies
  cat <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for lib in "$here"/deb/usr/lib/*-linux-gnu; do export LD_LIBRARY_PATH="$lib:$lib/pulseaudio"; done
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/deb/usr/lib/chromium/chromium-headless-shell" "$@"
END
}

fonts() { # where fontconfig is not set up, nothing would be drawn
  cat <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir><dir>$dir/deb/usr/share/fonts</dir><cachedir>$dir/fontcache</cachedir>
  <alias binding="same"><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
END
}

exec 8>"$dir/.chromium.lock"
flock 8
if [ -x "$dir/chromium" ] && starts "$dir/chromium"; then exit 0; fi
installed=$(command -v chromium || true)
if [ -n "$installed" ] && starts "$installed"; then
  ln -sfn "$installed" "$dir/chromium"
  echo "chromium: using the installed $installed"
  exit 0
fi
# shellcheck disable=SC1091  # the machine's file
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
echo "chromium: downloading from Debian $suite (about 70 MB, nothing is installed)"
rm -rf "$dir/deb" "$dir/chromium"
if version=$("$here/fetch-deb.sh" --needed "$suite" "$dir/deb" chromium-headless-shell); then
  wrapper >"$dir/chromium"
  fonts >"$dir/fonts.conf"
  chmod +x "$dir/chromium"
  if starts "$dir/chromium"; then
    echo "chromium: $version"
    exit 0
  fi
fi
rm -rf "$dir/deb" "$dir/chromium"
echo "chromium: none could be had from Debian $suite, and none is installed" >&2
exit 1
