#!/usr/bin/env bash
# Installs what setup/packages.txt names and this machine lacks. For machines that develop Mallee or
# run its sandbox: no service that a package brings is started or stays enabled, and packages that
# were there before are left alone, services and all. Takes milliseconds when nothing is missing.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

readonly LOCK=/run/lock/mallee-setup.lock
readonly LOCK_SECONDS=300
readonly POLICY=/usr/sbin/policy-rc.d
readonly BACKPORTS=/etc/apt/sources.list.d/mallee-backports.sources
# The first release that hands whole batches of packages to the kernel: three times the throughput
# of Debian 12's own.
readonly FAST_WIREGUARD_GO=0.0.20231211
# A service, or the package with it and the service where their names differ.
readonly SERVICES=(openvswitch-switch redis-server vtun haproxy tgt ceph-base:ceph-crash
  charon-systemd:strongswan)

export DEBIAN_FRONTEND=noninteractive LC_ALL=C

main() {
  read_os
  local -a missing
  find_missing
  [[ ${#missing[@]} -gt 0 ]] || return 0
  [[ $EUID -eq 0 ]] || die "missing Debian packages: ${missing[*]}" 'Become root to install them.'
  # One set-up at a time; the second finds nothing left to do.
  exec 9>"$LOCK"
  flock --wait "$LOCK_SECONDS" 9 ||
    die "another set-up has been running for $LOCK_SECONDS seconds" "Wait for it, or see who holds $LOCK."
  find_missing
  [[ ${#missing[@]} -gt 0 ]] || return 0
  install_missing
}

# Sets `missing` (declared by the caller) and `has_wireguard_go`.
find_missing() {
  local name releases status version
  local -A wanted=()
  while read -r name releases; do
    [[ -z $name || $name == \#* ]] && continue
    [[ -z $releases || " $releases " == *" $OS_VERSION "* ]] && wanted[$name]=yes
  done <"$ROOT/setup/packages.txt"
  while read -r status name version; do
    [[ $status == installed ]] || continue
    if [[ $name == wireguard-go ]] && slow_wireguard_go "$version"; then continue; fi
    unset "wanted[$name]"
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' \
    "${!wanted[@]}" 2>/dev/null)
  missing=("${!wanted[@]}")
}

slow_wireguard_go() {
  [[ $OS_VERSION == 12 ]] && dpkg --compare-versions "$1" lt "$FAST_WIREGUARD_GO"
}

install_missing() {
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'; remove_policy" EXIT
  LOG=$work/install.log
  UPDATE_LOG=$work/update.log
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  say 'reading the package lists (apt-get update)'
  update_lists || apt_failed 'apt-get update failed'
  # It succeeds also when it reached no server, which matters only when a package is missing then.

  local -a plain=()
  local name
  for name in "${missing[@]}"; do
    [[ $name == wireguard-go && $OS_VERSION == 12 ]] || plain+=("$name")
  done
  forbid_service_starts
  if [[ ${#plain[@]} -gt 0 ]]; then
    apt_install "${plain[@]}" || apt_failed 'apt-get install failed'
  fi
  if [[ ${#plain[@]} -lt ${#missing[@]} ]]; then install_wireguard_go; fi
  remove_policy
  disable_services
  say 'all Debian packages are installed'
}

# apt waits for dpkg's lock itself, but not for the one of the package lists.
update_lists() {
  local deadline=$((SECONDS + LOCK_SECONDS))
  until apt-get -q update >"$UPDATE_LOG" 2>&1; do
    grep -q 'Could not get lock' "$UPDATE_LOG" && [[ $SECONDS -lt $deadline ]] || return 1
    say 'the package lists are in use by another program; waiting'
    sleep 5
  done
}

# apt_install PACKAGE_OR_OPTION...
apt_install() {
  apt-get -q -y --no-install-recommends -o "DPkg::Lock::Timeout=$LOCK_SECONDS" \
    -o Dpkg::Options::=--force-confold -o APT::Status-Fd=3 install "$@" \
    3> >(show_progress) >"$LOG" 2>&1
}

# apt's status lines, `pmstatus:NAME:PERCENT:TEXT` and `dlstatus:…`, as one of ours for each fifth.
show_progress() {
  local kind percent last_kind='' last=-1
  while IFS=: read -r kind _ percent _; do
    percent=${percent%%.*}
    [[ $percent =~ ^[0-9]+$ && ($kind == dlstatus || $kind == pmstatus) ]] || continue
    if [[ $kind != "$last_kind" ]]; then last=-1; fi
    if [[ $((percent / 20)) -gt $last ]]; then
      last=$((percent / 20))
      last_kind=$kind
      if [[ $kind == dlstatus ]]; then
        say "downloading, $percent %"
      else
        say "installing, $percent %"
      fi
    fi
  done
}

# Debian 12's own is the fallback: slower, but everything works with it.
install_wireguard_go() {
  if ! apt-cache madison wireguard-go | grep -q 'bookworm-backports'; then
    local site
    site=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
      'Created-By: Packages' | awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
    # The mirror that the machine uses for Debian 12 has its backports too.
    if [[ -n $site ]]; then
      printf '%s\n' '# Only wireguard-go is taken from here (made by setup/install.sh of Mallee).' \
        'Types: deb' "URIs: $site" 'Suites: bookworm-backports' 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$BACKPORTS"
      # A mirror without backports must not spoil every apt-get update from now on.
      update_lists || rm -f "$BACKPORTS"
    fi
  fi
  if apt_install --target-release bookworm-backports wireguard-go; then return; fi
  say 'no wireguard-go from bookworm-backports; taking the slower one of Debian 12'
  apt_install wireguard-go || apt_failed 'apt-get install wireguard-go failed'
}

# invoke-rc.d and deb-systemd-invoke ask this script before they start anything.
forbid_service_starts() {
  [[ -e $POLICY ]] && return
  printf '%s\n' '#!/bin/sh' '# Made and removed by setup/install.sh of Mallee.' 'exit 101' >"$POLICY"
  chmod 755 "$POLICY"
  POLICY_IS_OURS=yes
}

remove_policy() {
  if [[ ${POLICY_IS_OURS:-no} == yes ]]; then rm -f "$POLICY"; fi
  POLICY_IS_OURS=no
}

# Else they would start at the next boot.
disable_services() {
  command -v systemctl >/dev/null || return 0
  local name
  for name in "${SERVICES[@]}"; do
    [[ " ${missing[*]} " == *" ${name%:*} "* ]] || continue
    systemctl --quiet disable "${name#*:}.service" 2>/dev/null ||
      say "${name#*:}.service could not be disabled; it may start at the next boot"
  done
}

apt_failed() {
  grep -E '^[WE]:' "$UPDATE_LOG" | tail -n 5 >&2 || true
  if [[ -r $LOG ]]; then tail -n 20 "$LOG" >&2; fi
  die "$1; its last lines are above" 'Mend what they say (often: no network, or no space), then run this again.'
}

main "$@"
