#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fetch-awx-collection.sh DIR: make DIR/awx-collection/ansible_collections/awx/awx, for the test of playbooks/awx_setup.yml.
#
# Out of the package "ansible" (54 MB), which the package index has and which carries the collection; that one is not
# installed, and nothing else of it kept. What is there already is left alone. Exits with 1 and a reason where it cannot be had.
set -euo pipefail
dir=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

package="ansible==12.3.0 --hash=sha256:cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"
there=$dir/awx-collection
exec 8>"$dir/.awx-collection.lock"
flock 8
if [ "$(cat "$there/.package" 2>/dev/null)" = "$package" ]; then exit 0; fi
echo "awx-collection: downloading the package ansible (54 MB, once)"
rm -rf "$there"
mkdir -p "$there"
trap 'rm -rf "$there/download" "$there/requirements.txt"' EXIT
echo "$package" >"$there/requirements.txt"
if ! .venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
  -d "$there/download" -r "$there/requirements.txt" >"$there/pip.log" 2>&1; then
  cat "$there/pip.log" >&2
  echo "awx-collection: pip could not download it: $(grep -m1 ERROR "$there/pip.log" || true)" >&2
  exit 1
fi
.venv/bin/python - "$there" <<'END'
import pathlib, sys, zipfile

there = pathlib.Path(sys.argv[1])
(wheel,) = (there / "download").glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/awx/awx/")]
    archive.extractall(there, wanted)
END
echo "$package" >"$there/.package"
