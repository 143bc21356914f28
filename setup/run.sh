#!/usr/bin/env bash
# run.sh [--no-install] FILE [ARGUMENT...]
# Runs one of the project's programs under the Node that the project pins, after installing what is
# missing. Takes any Node >= 20 with npm to begin with. Nothing but FILE writes to standard output.
# --no-install leaves the machine alone: no Debian packages, no root. The project's own
# node_modules is filled either way, since nothing runs without it.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

readonly OLDEST_NODE=20
readonly PINNED_NODE=24
readonly MODULES=$ROOT/node_modules
readonly NODE=$MODULES/.bin/node
# Beside the modules: npm ci removes it together with them.
readonly STAMP=$MODULES/.mallee-lock

main() {
  local install=yes
  if [[ ${1:-} == --no-install ]]; then
    install=no
    shift
  fi
  if [[ $# -lt 1 ]]; then
    die 'run.sh was not told what to run' 'Usage: run.sh [--no-install] FILE [ARGUMENT...]'
  fi
  # sbin holds ip, nft and others; root's PATH after `su` lacks it.
  export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  if [[ $install == yes ]]; then
    check_machine
    "$ROOT/setup/install.sh"
  fi
  install_modules
  check_pinned_node
  export PATH=$MODULES/.bin:$PATH
  # As in node.sh, and tests hand it on to each of their files.
  export NODE_COMPILE_CACHE_PORTABLE=1
  export NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE-$ROOT/.cache/compiled}
  export UV_THREADPOOL_SIZE=${UV_THREADPOOL_SIZE-16}
  local file=$1
  shift
  [[ $file == /* ]] || file=$ROOT/$file
  exec "$NODE" "$file" "$@"
}

# What no package can give.
check_machine() {
  read_os
  [[ $OS_ID == debian && ($OS_VERSION == 12 || $OS_VERSION == 13) ]] ||
    die "this is $OS_NAME, and Mallee is set up on Debian 12 and 13 only" \
      'Use a Debian 12 or 13 machine, virtual machine or privileged container.'
  [[ $EUID -eq 0 ]] ||
    die "this needs root and runs as $(id -un): it makes network namespaces and installs packages" \
      'Become root (su -, or sudo -s) and run the same command again.'
  [[ -c /dev/net/tun ]] || modprobe --quiet tun 2>/dev/null || true
  [[ -c /dev/net/tun ]] ||
    die '/dev/net/tun is missing: no tunnel and no instance can have a network device' \
      'Run `modprobe tun`; in a container, start it with --device /dev/net/tun.'
  unshare --mount --net --pid --fork --mount-proc true 2>/dev/null ||
    die 'network namespaces cannot be made here: the sandbox has one for each host' \
      'In a container, start it with --privileged (or the capabilities SYS_ADMIN and NET_ADMIN).'
}

install_modules() {
  local lock
  lock=$(sha256sum <"$ROOT/package-lock.json")
  if [[ -r $STAMP && $(<"$STAMP") == "$lock" ]]; then return; fi
  check_any_node
  say 'installing the npm packages of package-lock.json into node_modules'
  local log
  log=$(mktemp)
  if ! (cd "$ROOT" && npm ci --ignore-scripts --no-progress) >"$log" 2>&1; then
    # The errors come first; npm ends with its usage.
    grep -v '^npm warn' "$log" | head -n 20 >&2
    rm -f "$log"
    die 'npm ci failed; what it said is above' \
      "Check that $ROOT can be written and that npm reaches its registry, then run this again."
  fi
  rm -f "$log"
  check_pinned_node
  printf '%s\n' "$lock" >"$STAMP"
}

check_any_node() {
  local version
  command -v node >/dev/null && command -v npm >/dev/null ||
    die 'Node and npm are not installed' \
      "Install Node >= $OLDEST_NODE with npm, from nodejs.org or Debian 13's packages nodejs and npm."
  version=$(node --version)
  version=${version#v}
  [[ ${version%%.*} -ge $OLDEST_NODE ]] ||
    die "Node $version is too old to begin with" "Install Node >= $OLDEST_NODE with npm."
}

# The pinned Node is an optional dependency for each platform, and npm says nothing when the one
# that fits is not installed.
check_pinned_node() {
  local version
  version=$("$NODE" --version 2>/dev/null) ||
    die "npm did not install the pinned Node for $(uname -s) $(uname -m): $NODE does not run" \
      'Supported are Linux on x86_64 and aarch64. On those, remove node_modules and run this again without --omit=optional (npm config get omit shows it).'
  version=${version#v}
  [[ ${version%%.*} -ge $PINNED_NODE ]] ||
    die "$NODE is Node $version, and Mallee needs $PINNED_NODE or newer" \
      'Remove node_modules and run this again.'
}

main "$@"
