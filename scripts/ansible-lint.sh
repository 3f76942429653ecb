#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-lint.sh [OPTION...]: ansible-lint on a copy of the checkout, where it resolves our own
# names as it would for a user who installed the collection.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/in-collection.sh

export PATH=$PWD/.venv/bin:$PATH LC_ALL=C.UTF-8
target=$(copy_checkout "$PWD/build/lint")
export ANSIBLE_COLLECTIONS_PATH=$PWD/build/lint ANSIBLE_HOME=$PWD/build/lint/home
cd "$target"
say "ansible-lint --profile production"
exec ansible-lint --offline --profile production --nocolor "$@"
