#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bare-environment.sh DIRECTORY: a virtual environment with what README tells users to install, and nothing else.
# What is there already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

directory=${1:?a directory}
documented="ansible-core acme cryptography jmespath"
stamp=$directory/.stamp
wanted=$(echo "$documented" | cat - requirements/runtime.txt requirements/constraints.txt | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
.venv/bin/python -m venv --clear --without-pip "$directory"
# shellcheck disable=SC2086
.venv/bin/python -m pip --python "$directory/bin/python" install -q --disable-pip-version-check \
  -c requirements/runtime.txt -c requirements/constraints.txt $documented
echo "$wanted" >"$stamp"
