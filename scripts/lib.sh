# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Shared by the scripts here; sourced, never run.
# shellcheck shell=bash

say() { echo "==> $*"; }
die() { echo "error: $*" >&2; exit 1; }

# need_package PACKAGE REASON: the only place that installs something system-wide. Says what and
# why before it does, asks nothing, and prints the command to run by hand when it cannot.
need_package() {
  local package=$1 reason=$2 sudo=()
  command -v apt-get >/dev/null || die "$reason. Install the equivalent of Debian's package '$package'"
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      die "$reason. Run this as root, then try again: apt-get update && apt-get install -y $package"
    fi
    sudo=(sudo -n)
  fi
  say "system package: installing $package ($reason)"
  # shellcheck disable=SC2016  # the inner shell expands $1
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$1" >/dev/null' sh "$package" ||
    die "could not install $package. Run as root: apt-get update && apt-get install -y $package"
}
