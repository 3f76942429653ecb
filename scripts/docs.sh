#!/usr/bin/env bash
# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# docs.sh: check the documentation and make its site, build/docs/html. The tools are in an environment of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/in-collection.sh

env=build/docs/env
stamp=$env/.requirements.sha256
wanted=$(cat requirements/docs.txt requirements/runtime.txt | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "documentation: installing antsibull-docs and Sphinx into $env (a minute)"
  mkdir -p build/docs
  log=build/docs/pip.log
  .venv/bin/python -m venv --clear --without-pip "$env"
  .venv/bin/python -m pip --python "$env/bin/python" install -q --disable-pip-version-check \
    -r requirements/docs.txt -c requirements/runtime.txt >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    die "pip failed (see above)"
  }
  echo "$wanted" >"$stamp"
fi
export PATH=$PWD/$env/bin:$PWD/.venv/bin:$PATH LC_ALL=C.UTF-8 ANSIBLE_HOME=$PWD/build/docs/home

# What is shipped: so a page that is left out of the tarball, or links to what is, would be noticed.
target=$(copy_shipped "$PWD/build/docs/shipped")
export ANSIBLE_COLLECTIONS_PATH=$PWD/build/docs/shipped
say "documentation: antsibull-docs lint-collection-docs"
antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all "$target"

say "documentation: pages"
source=build/docs/source
rm -rf "$source" build/docs/html
mkdir -p "$source/docs"
chmod go-w "$source" # antsibull-docs insists
cp "$target/README.md" "$source/index.md"
cp "$target/CONTRIBUTING.md" "$source"
(cd "$target" && find docs -name '*.md' -exec cp --parents {} "$OLDPWD/$source" \;)
antsibull-docs collection --use-current --fail-on-error --dest-dir "$source" certfleet.sophos_xgs >/dev/null
sphinx-build --quiet --fail-on-warning --keep-going -b html -c scripts/docs -d build/docs/trees "$source" build/docs/html
say "documentation: build/docs/html/index.html"
