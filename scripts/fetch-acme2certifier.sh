#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-acme2certifier.sh DIR: make DIR/acme2certifier, the environment of a second ACME server for the tests.
# What is there already is left alone. Exits with 1 and a reason where it cannot be had.
set -euo pipefail
dir=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

there=$dir/acme2certifier
stamp=$there/.requirements.sha256
log=$dir/acme2certifier.log
exec 8>"$dir/.acme2certifier.lock"
flock 8
wanted=$(sha256sum <tests/lab/acme2certifier.txt)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$there/bin/python" -c '' 2>/dev/null; then exit 0; fi
echo "acme2certifier: installing into $there (about 20 s)"
.venv/bin/python -m venv --clear --without-pip "$there"
if ! .venv/bin/python -m pip --python "$there/bin/python" install -q --disable-pip-version-check --no-deps \
  -r tests/lab/acme2certifier.txt >"$log" 2>&1; then
  cat "$log" >&2
  echo "acme2certifier: pip could not install it: $(grep -m1 ERROR "$log" || true)" >&2
  exit 1
fi
echo "$wanted" >"$stamp"
