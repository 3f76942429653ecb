#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test.sh COMMAND [OPTION...]: run ansible-test on what the tarball ships, without containers
# and without any network but the Python package index.
#
# ansible-test bootstraps pip in its environments by a script that it downloads from its makers'
# site, unless its cache holds it already. We put one there that asks this checkout's pip instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/in-collection.sh
command=${1:?command, such as sanity}
shift

# Where Ansible is installed, and with which Python it runs.
venv=$PWD/${VENV:-.venv}
python=$venv/bin/python
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
work=$PWD/build/sanity/${VENV:-own}
# Its caches live in HOME; a private one leaves the user's alone.
export HOME=$work/home PATH=$venv/bin:$PATH LC_ALL=C.UTF-8
cache=$HOME/.ansible/test/cache
mkdir -p "$cache"

pip_version=$("$python" - <<'PY'
from importlib import util
from pathlib import Path
import re

source = Path(util.find_spec("ansible_test").submodule_search_locations[0], "_internal/python_requirements.py")
print(re.search(r"pip='([\d.]+)'", source.read_text())[1])
PY
)
cat >"$cache/get_pip_${pip_version//./_}.py" <<PY
import subprocess
import sys

own = {"--no-setuptools", "--no-wheel"}  # get-pip's options, which pip does not know
arguments = [argument for argument in sys.argv[1:] if argument not in own]
sys.exit(subprocess.call(["$PWD/.venv/bin/python", "-m", "pip", "--python", sys.executable, "install", "-q", *arguments]))
PY

target=$(copy_shipped "$work")
cd "$target"
say "ansible-test $command --local --python $version (in a copy below build/sanity)"
exec "$(dirname "$python")/ansible-test" "$command" --local --python "$version" --color no "$@"
