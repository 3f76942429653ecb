#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-deb.sh [--needed] SUITE DIR PACKAGE...: download packages of one Debian suite and unpack them under DIR.
#
# Nothing is installed. apt runs with sources, lists and cache of its own below DIR, so it neither
# needs root nor sees (or changes) the machine's package state. The mirror is the one the machine
# itself uses; signatures are checked against Debian's own keyring. Dependencies are not fetched:
# name them too, or take what has none; with --needed, what is not installed here comes along. Says the
# version of the first.
set -euo pipefail
needed=
[ "$1" != --needed ] || { needed=yes; shift; }
suite=${1:?suite} dir=${2:?directory} package=${3:?package}
packages=("${@:3}")

die() { echo "fetch-deb: $*" >&2; exit 1; }

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null || die "no apt-get here: this needs Debian or a derivative"
[ -r "$keyring" ] || die "no $keyring (package debian-archive-keyring): signatures could not be checked"

# The machine's own mirror, in either spelling of apt's sources.
mirror_of_this_machine() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$file"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    sed -n 's/^deb[[:space:]]*\(\[[^]]*\]\)\{0,1\}[[:space:]]*\([^[:space:]]*\).*/\2/p' "$file"
  done
}
mirror=$(mirror_of_this_machine | grep -E '/debian/?$' | grep -v security | head -n1 || true)
[ -n "$mirror" ] || die "no Debian mirror in /etc/apt; add a source to it, as a Debian has"

apt=$dir/.apt/$suite
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
apt=$(cd "$apt" && pwd)
echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
# Read after the machine's own configuration (which may hold a proxy), so it has the last word.
cat >"$apt/apt.conf" <<CONF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Default-Release "$suite";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF

run() { (cd "$apt" && apt-get -qq -c "$apt/apt.conf" "$@") >"$apt/$1.log" 2>&1; }
if ! run update; then
  cat "$apt/update.log" >&2
  # A frozen mirror. Whether old indexes are acceptable is the administrator's decision, not ours.
  ! grep -q 'is expired' "$apt/update.log" || die "the mirror's index of $suite is outdated. If it is a snapshot on purpose, say so\
 to apt: echo 'Acquire::Check-Valid-Until \"false\";' >/etc/apt/apt.conf.d/99snapshot"
  die "no package index of $suite from $mirror"
fi
rm -f "$apt"/*.deb
if [ -n "$needed" ]; then
  run install --simulate --no-install-recommends "${packages[@]}" ||
    { cat "$apt/install.log" >&2; die "no package ${packages[*]} that fits this machine in $suite"; }
  # Of a package that is installed in an older version the newer one is named, too.
  mapfile -t packages < <(sed -n 's/^Inst \([^ ]*\).*/\1/p' "$apt/install.log")
  [ "${#packages[@]}" -gt 0 ] || die "$package is installed already"
fi
run download "${packages[@]}" || { cat "$apt/download.log" >&2; die "no package ${packages[*]} in $suite"; }
for file in "$apt"/*.deb; do dpkg-deb --extract "$file" "$dir"; done
dpkg-deb --field "$apt/$package"_*.deb Version
rm -rf "$apt"
