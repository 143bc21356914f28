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
# What Node makes of TypeScript and keeps: the next start takes half the processor's time. Nothing
# is kept where nobody may write. A copy of the project finds what came along with it.
export NODE_COMPILE_CACHE_PORTABLE=1
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-$root/.cache/compiled}"
# Syncs of files wait in threads, one each; without more of them, writers would wait for each other.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE-16}"
exec "$node" "$root/$file" "$@"
