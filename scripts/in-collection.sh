# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shellcheck shell=bash
# Sourced. ansible-test and ansible-lint insist on a real directory
# …/ansible_collections/NAMESPACE/NAME; a link to the checkout is refused.

new_collection() { # new_collection DIR: an empty directory of that kind below DIR
  local target=$1/ansible_collections/certfleet/sophos_xgs
  rm -rf "$target"
  mkdir -p "$target"
  git -C "$target" init --quiet # both tools look for files by git, and the checkout's ignores build/
  echo "$target"
}

# copy_checkout DIR: what git would commit. For tools that look at everything.
copy_checkout() {
  local target
  target=$(new_collection "$1")
  # Files deleted but not yet staged are still listed by git: leave them out.
  git ls-files -z -co --exclude-standard | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done | tar --null --files-from=- --create | tar --extract --directory "$target"
  echo "$target"
}

# copy_shipped DIR: what the tarball holds, so what users (and Galaxy's importer) get to see.
copy_shipped() {
  local target
  target=$(new_collection "$1")
  rm -f "$1"/certfleet-sophos_xgs-*.tar.gz
  ansible-galaxy collection build --force --output-path "$1" . >/dev/null
  tar --extract --gzip --file "$1"/certfleet-sophos_xgs-*.tar.gz --directory "$target"
  echo "$target"
}
