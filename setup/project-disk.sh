#!/usr/bin/env bash
# project-disk.sh FILE
# Writes FILE, a file system with the project and what it needs to run: the pinned Node, the
# packages that are no development dependencies, and in .cache/ what Node keeps of its compiling.
# Read-only for who mounts it.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

readonly MODULES=$ROOT/node_modules
readonly NODE=$MODULES/.bin/node
readonly DISK_MIB=400

main() {
  [[ $# -eq 1 ]] || die 'project-disk.sh takes one argument' 'Usage: project-disk.sh FILE'
  local file=$1 name
  export PATH=$PATH:/usr/sbin:/sbin
  work=$(mktemp -d "$file.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  tar -C "$ROOT" -cf - --exclude=./node_modules --exclude=./.cache --exclude=./.git . |
    tar -C "$work" -xf -
  mkdir -p "$work/node_modules/.bin"
  while read -r name; do
    # Optional ones are there only for the platform that they fit.
    [[ -d $MODULES/$name ]] || continue
    mkdir -p "$work/node_modules/$(dirname -- "$name")"
    cp -a --reflink=auto "$MODULES/$name" "$work/node_modules/$name"
  done < <(production_packages)
  cp -P "$NODE" "$work/node_modules/.bin/node"
  compile
  truncate -s "${DISK_MIB}M" "$file.new"
  mke2fs -q -t ext4 -m 0 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$work" \
    "$file.new"
  mv -- "$file.new" "$file"
}

# Translating TypeScript is most of a start where the processor is emulated: each program starts
# here once, and ends before it does anything: those that serve because their port is missing, those
# that run inside a machine because this one is none.
compile() {
  local program
  for program in rack-join cluster-agent; do
    env -u NODE_COMPILE_CACHE "$work/bin/$program" --help >/dev/null
  done
  for program in "$work"/test/kernel/{serve,serve-alone,inside/*}.ts; do
    env -u NODE_COMPILE_CACHE "$work/setup/node.sh" "${program#"$work/"}" >/dev/null 2>&1 || true
  done
}

# What package-lock.json has beside development's: folders below node_modules, outermost only.
production_packages() {
  "$NODE" --input-type=module - "$ROOT/package-lock.json" <<'END'
import { readFileSync } from 'node:fs'
const { packages } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
for (const [path, { dev, devOptional }] of Object.entries(packages)) {
  const name = path.replace('node_modules/', '')
  if (path === '' || dev === true || devOptional === true) continue
  if (!name.includes('node_modules/')) console.log(name)
}
END
}

main "$@"
