#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bootstrap.sh: make this checkout ready to run: .venv, the test CA in build/tools, iptables
# for the tests' second data plane in build/iptables, a browser in build/chromium, the import path.
#
# Needs bash, git and a Python >= 3.11 ($PYTHON names one). Installs nothing system-wide unless
# something is missing that cannot be had otherwise, and then says so first. Run it as often as you
# like: what is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

usable_python() { # runs at all (a version manager's shim may not), is new enough, can make a venv
  "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    echo "$PYTHON"
    return
  fi
  # 3.11 first: it is the version the pinned requirements were tried with.
  local name
  for name in python3.11 python3 python3.12 python3.13 /usr/bin/python3; do
    if usable_python "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# Debian keeps ensurepip in a package of its own (python3-venv). Its pip wheel can be unpacked
# without installing it, so neither root nor that package is needed.
install_pip() {
  say "no ensurepip here: taking pip's wheel from Debian (nothing is installed system-wide)"
  rm -rf build/pip
  # shellcheck disable=SC1091  # the machine's file
  scripts/fetch-deb.sh "$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")" build/pip python3-pip-whl >/dev/null
  local wheels=(build/pip/usr/share/python-wheels/pip-*.whl)
  PYTHONPATH=${wheels[0]} .venv/bin/python -m pip install --quiet --no-warn-script-location pip
  rm -rf build/pip
}

make_venv() {
  say "python: $("$1" --version) ($1), new environment in .venv"
  rm -rf .venv
  "$1" -m venv --without-pip .venv
  if "$1" -c 'import ensurepip' 2>/dev/null; then
    .venv/bin/python -m ensurepip >/dev/null 2>&1 || install_pip
  else
    install_pip
  fi
}

install_requirements() {
  local wanted stamp=.venv/.requirements.sha256
  wanted=$(cat requirements/{constraints,dev,runtime}.txt tests/emulator/requirements.txt | sha256sum)
  if [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null; then
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  else
    local python
    [ -z "${PYTHON:-}" ] || usable_python "$PYTHON" ||
      die "PYTHON=$PYTHON is not a Python >= 3.11 with the venv module; unset it or name another"
    if ! python=$(find_python); then
      need_package python3 "no Python >= 3.11 was found"
      python=$(find_python) || die "this system's python3 is older than 3.11; install one and set PYTHON=/path/to/python3.11"
    fi
    make_venv "$python"
  fi
  say "python packages: installing what requirements/ pins (about 30 s)"
  local log=build/pip.log
  .venv/bin/python -m pip install -q --disable-pip-version-check \
    -r requirements/dev.txt -c requirements/constraints.txt >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    die "pip failed (see above). Is the package index reachable? PIP_INDEX_URL, PIP_CERT and https_proxy are honoured"
  }
  echo "$wanted" >"$stamp"
}

# Python imports ansible_collections.certfleet.sophos_xgs through this link, so unit tests see the
# checkout itself. (ansible-playbook is given a real installation instead: see `make collection`.)
link_collection() {
  local link=build/src/ansible_collections/certfleet/sophos_xgs
  mkdir -p "${link%/*}"
  [ "$(readlink "$link" 2>/dev/null)" = ../../../.. ] || ln -sfn ../../../.. "$link"
}

mkdir -p build
# Two bootstraps of one checkout at once (an editor and a terminal) would trip over each other.
exec 9>build/.bootstrap.lock
flock 9
# pip checks certificates against the system's store where Debian packaged it.
[ -n "${PIP_CERT:-}" ] || [ -s /etc/ssl/certs/ca-certificates.crt ] || [ ! -e /etc/debian_version ] ||
  need_package ca-certificates "no root certificates: HTTPS downloads could not be verified"
install_requirements
scripts/fetch-pebble.sh build/tools
scripts/fetch-iptables.sh build/iptables
# Servers of other makes, which few tests need: without one these are skipped, and say so.
for other in acme2certifier caddy awx-collection; do
  "scripts/fetch-$other.sh" build/tools || say "no $other: its tests will be skipped"
done
scripts/fetch-console.sh build/tools || say "no OpenSSH server: the tests of the way by SSH will be skipped (in CI they fail)"
scripts/fetch-chromium.sh build/chromium || say "no chromium: the tests of the report's page will be skipped"
link_collection
