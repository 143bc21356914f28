#!/bin/sh
# node.sh FILE [ARGUMENT...]: runs a file of this project under the Node that the project pins.
# What bin/ uses; it installs nothing.
set -eu
root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
node=$root/node_modules/.bin/node
if [ ! -x "$node" ]; then
  echo "mallee: $node is missing; run \`npm ci --ignore-scripts\` in $root" >&2
  exit 1
fi
file=$1
shift
exec "$node" "$root/$file" "$@"
