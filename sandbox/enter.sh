#!/usr/bin/env bash
# enter.sh HOST [COMMAND...]: a shell, or one command, on a host of the running sandbox.
set -euo pipefail
root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
host=${1:?Usage: npm run -s enter -- HOST [COMMAND...]}
shift
# The first process has the lowest of the pids in the host's network.
pid=$({ ip netns pids "mallee-$host" 2>/dev/null || true; } | sort -n | head -n 1)
if [[ -z $pid ]]; then
  printf 'mallee: no host %s runs; hosts: %s\n' "$host" \
    "$(ip netns list 2>/dev/null | sed -n 's/^mallee-\([^ ]*\).*/\1/p' | tr '\n' ' ')" >&2
  exit 1
fi
export PATH=$root/bin:$root/node_modules/.bin:$PATH:/usr/sbin:/sbin
exec nsenter --target="$pid" --mount --net --pid --uts --ipc -- "${@:-bash}"
