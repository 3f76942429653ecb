#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bench-peers.sh: make build/bench/peers, the environment of the tools that the benchmark compares with.
# What is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

peers=build/bench/peers
stamp=$peers/.requirements.sha256
wanted=$(cat bench/requirements.txt requirements/runtime.txt requirements/constraints.txt | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
say "benchmark: installing the tools to compare with into $peers (certbot, acme-tiny, ansible: a minute or two)"
mkdir -p build/bench
log=build/bench/pip.log
.venv/bin/python -m venv --clear --without-pip "$peers"
.venv/bin/python -m pip --python "$peers/bin/python" install -q --disable-pip-version-check \
  -r bench/requirements.txt -r requirements/runtime.txt -c requirements/constraints.txt >"$log" 2>&1 || {
  tail -n 30 "$log" >&2
  die "pip failed (see above)"
}
echo "$wanted" >"$stamp"
