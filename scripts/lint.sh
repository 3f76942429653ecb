#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lint.sh: every check runs even when one before it failed; the end says which did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

bin=$PWD/.venv/bin
failed=()

check() { # check NAME COMMAND...
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "    ok    $name"
  else
    echo "    FAIL  $name"
    echo "$output"
    failed+=("$name")
  fi
}

types() { # through the import path, so that ansible_collections.… resolves to the checkout
  (cd build/src && "$bin/mypy" --config-file ../../pyproject.toml --cache-dir ../mypy \
    -p ansible_collections.certfleet.sophos_xgs.plugins)
}

tracked() { git ls-files -co --exclude-standard -- "$@"; }

# What is generated may be as long as it is.
sizes() { tracked '*.py' '*.yml' '*.yaml' ':!changelogs/changelog.yaml' | xargs "$bin/python" scripts/check-size.py; }

say "lint"
check "ruff check" "$bin/ruff" check --quiet .
check "ruff format" "$bin/ruff" format --check --quiet --diff .
if [ -n "$(tracked 'plugins/*.py')" ]; then check "mypy (plugins)" types; fi
check "size" sizes
check "yamllint" "$bin/yamllint" --strict .
check "reuse (licences)" "$bin/reuse" --suppress-deprecation lint --quiet
if command -v shellcheck >/dev/null; then
  mapfile -t scripts < <(tracked 'scripts/*.sh' '.ci/run')
  check "shellcheck" shellcheck -x "${scripts[@]}"
else
  echo "    skip  shellcheck (not installed here)"
fi
[ "${#failed[@]}" -eq 0 ] || die "lint failed: ${failed[*]}"
