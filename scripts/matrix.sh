#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# matrix.sh [--sanity] [VERSION...]: sanity on each version of ansible-core (or on these); units and integration on the
# oldest and the newest, unless --sanity says that this is all. Each has an environment of its own below build/matrix. Ends with a line for each; all are tried.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

# ansible-core, a Python that it supports, and whether the tests run too.
matrix="2.16:3.11:tests 2.18:3.12: 2.20:3.12: 2.21:3.13:tests"
summary=()
if [ "${1:-}" = --sanity ]; then
  matrix=${matrix//tests/}
  shift
fi

make_environment() { # make_environment DIRECTORY CORE PYTHON
  local wanted stamp=$1/.stamp
  wanted=$(cat requirements/*.txt tests/emulator/requirements.txt <(echo "$2 $3") | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  say "ansible-core $2 on Python $3: a new environment in $1"
  rm -rf "$1"
  "python$3" -m venv --without-pip "$1" || return
  # What the lint tools need of ansible-core is not what is tried here.
  grep -hv -e '^-r' -e '^ansible-core' -e '^ansible-lint' requirements/runtime.txt requirements/dev.txt \
    tests/emulator/requirements.txt >"$1/requirements.txt"
  .venv/bin/python -m pip --python "$1/bin/python" install -q --disable-pip-version-check \
    -r "$1/requirements.txt" "ansible-core~=$2.0" || return
  echo "$wanted" >"$stamp"
}

one() { # one CORE PYTHON TESTS
  local venv=build/matrix/$1
  make_environment "$venv" "$1" "$2" || return
  VENV=$venv scripts/ansible-test.sh sanity || return
  [ -z "$3" ] || "$venv/bin/python" -m pytest tests/unit tests/integration ${PYTEST_ARGS:--n 2}
}

for entry in $matrix; do
  IFS=: read -r core python tests <<<"$entry"
  [ $# -eq 0 ] || [[ " $* " == *" $core "* ]] || continue
  if one "$core" "$python" "$tests"; then result=ok; else result=FAIL; fi
  summary+=("$result: ansible-core $core on Python $python, sanity${tests:+, units and integration}")
done
say "summary"
printf '  %s\n' "${summary[@]}"
[[ "${summary[*]}" != *FAIL* ]]
