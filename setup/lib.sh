# shellcheck shell=bash
# What the set-up scripts share: where they are, how they speak. Sourced.

ROOT=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
readonly ROOT

# Progress and trouble go to standard error: standard output belongs to the program that runs next.
say() {
  printf 'mallee: %s\n' "$*" >&2
}

# die SENTENCE WHAT_TO_DO
die() {
  printf 'mallee: %s\n' "$1" >&2
  printf '        %s\n' "$2" >&2
  exit 1
}

# The machine's /etc/os-release, or the file that MALLEE_OS_RELEASE names: ID and VERSION_ID.
read_os() {
  local file=${MALLEE_OS_RELEASE:-/etc/os-release}
  [[ -r $file ]] || die "$file cannot be read, so the operating system is unknown" \
    'Mallee runs on Debian 12 and 13.'
  # A subshell keeps the file's other variables out of ours.
  read -r OS_ID OS_VERSION OS_NAME < <(
    # shellcheck disable=SC1090
    . "$file"
    printf '%s %s %s\n' "${ID:-unknown}" "${VERSION_ID:-0}" "${PRETTY_NAME:-unknown}"
  )
}
