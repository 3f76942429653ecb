#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# galaxy-importer.sh: the checks that Galaxy and Automation Hub make of an uploaded tarball, by their own program, in an
# environment of its own below build/. Sanity is left out, `make sanity` has it. Fails at an error and at a warning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/in-collection.sh

work=$PWD/build/importer
env=$work/env
wanted=$(sha256sum <requirements/importer.txt)
if [ "$(cat "$env/.stamp" 2>/dev/null)" != "$wanted" ]; then
  say "galaxy-importer: a new environment in build/importer/env"
  mkdir -p "$work"
  .venv/bin/python -m venv --clear --without-pip "$env"
  .venv/bin/python -m pip --python "$env/bin/python" install -q --disable-pip-version-check -r requirements/importer.txt
  echo "$wanted" >"$env/.stamp"
fi
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
PATH=$PWD/.venv/bin:$PATH copy_shipped "$work" >/dev/null
cat >"$work/config.cfg" <<'CFG'
[galaxy-importer]
LOG_LEVEL_MAIN = INFO
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = True
RUN_ANSIBLE_TEST = False
CHECK_REQUIRED_TAGS = True
CFG
cd "$work"
log=$work/import.log
GALAXY_IMPORTER_CONFIG=$work/config.cfg PATH=$env/bin:$PATH \
  "$env/bin/python" -m galaxy_importer.main "$work"/certfleet-sophos_xgs-*.tar.gz 2>&1 | tee "$log"
# awx_setup.yml alone needs awx.awx, and says so.
! grep -E '^(WARNING|ERROR|CRITICAL)' "$log" | grep -v "couldn't resolve module/action 'awx\.awx\."
