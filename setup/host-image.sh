#!/usr/bin/env bash
# host-image.sh OUT_DIR
# Builds OUT_DIR/host.raw and OUT_DIR/vmlinuz: a host for racks with what production hosts have and
# this machine may lack, Debian's cloud kernel with WireGuard and Open vSwitch in it. It is for
# QEMU's -kernel: no boot loader, and no initrd, since NVMe and ext4 are built in.
#
# mmdebstrap fills a folder, mke2fs makes a file system of it; setup/host/ has its files. Kept when
# nothing has changed: the key is made of these scripts and the kernel's version. The project itself
# is on a second disk (project-disk.sh).

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=kernel.sh
. "$ROOT/setup/kernel.sh"

readonly FILES=$ROOT/setup/host
readonly DISK_MIB=3000
# The agent's tools as on any host. qemu-system-x86 runs instances within the guest.
readonly PACKAGES=openvswitch-switch,wireguard-tools,nftables,dnsmasq-base,iproute2,kmod,\
mount,iputils-ping,iputils-arping,ethtool,procps,tcpdump,qemu-system-x86,qemu-utils,\
ca-certificates,haproxy,conntrack,open-iscsi,lvm2,thin-provisioning-tools,xfsprogs,tgt,\
qemu-block-extra,cryptsetup-bin,charon-systemd,libstrongswan-standard-plugins,curl,busybox-static

export LC_ALL=C

main() {
  [[ $# -eq 1 ]] || die 'host-image.sh takes one argument' 'Usage: host-image.sh OUT_DIR'
  mkdir -p -- "$1"
  out=$(readlink -f -- "$1")
  check_machine

  exec 9>"$out/.host.lock"
  flock --wait 900 9 || die 'another build has been running for 15 minutes' \
    "See who holds $out/.host.lock."
  find_kernel
  local key
  key=$(cat "${BASH_SOURCE[0]}" "$FILES"/* <(printf '%s' "$kernel") | sha256sum)
  if [[ -s $out/host.raw && -r $out/host.key && $(<"$out/host.key") == "$key" ]]; then return; fi

  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  say 'host image: installing packages (two minutes)'
  make_root
  add_kernel
  say 'host image: writing the disk'
  truncate -s "${DISK_MIB}M" "$work/host.raw"
  mke2fs -q -t ext4 -m 0 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$work/root" \
    "$work/host.raw"
  rm -f -- "$out/host.key"
  mv -- "$work/host.raw" "$work/vmlinuz" "$out/"
  printf '%s\n' "$key" >"$out/host.key"
  say "host image: $out/host.raw is ready"
}

check_machine() {
  [[ $(dpkg --print-architecture) == amd64 ]] ||
    die 'the host image is built on amd64 only' 'Build it there and copy host.raw and vmlinuz over.'
  [[ $EUID -eq 0 ]] || die 'the host image needs root: its files belong to root' 'Become root.'
  export PATH=$PATH:/usr/sbin:/sbin
  local program
  for program in mmdebstrap mke2fs depmod flock; do
    command -v "$program" >/dev/null ||
      die "$program is not installed" 'Install mmdebstrap, e2fsprogs, kmod and util-linux.'
  done
}

# The host's file system, in $work/root. The archive is the one that this machine uses.
make_root() {
  local root=$work/root source
  read_os
  local suite=bookworm
  [[ $OS_VERSION == 13 ]] && suite=trixie
  source=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  mmdebstrap --quiet --mode=root --skip=check/chroot --variant=essential --include="$PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Apt::Install-Recommends "false"' \
    "$suite" "$root" "${source:-http://deb.debian.org/debian}" ||
    die 'mmdebstrap failed' 'Check /etc/apt and the network, then run this again.'
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  mkdir -p "$root/opt/mallee"
  install -m 755 "$FILES/init" "$root/sbin/mallee-init"
}

# Without installing it: that would build an initrd that nobody boots.
add_kernel() {
  mkdir "$work/debs" "$work/kernel"
  (cd "$work/debs" && apt-get download -qq -o APT::Sandbox::User=root "$kernel") ||
    die 'the kernel cannot be downloaded' 'Run apt-get update, check the network, try again.'
  dpkg-deb --extract "$work"/debs/*.deb "$work/kernel"
  cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
  local modules version
  modules=$(find "$work/kernel" -path '*/lib/modules/*/kernel' -prune)
  version=$(basename -- "$(dirname -- "$modules")")
  mkdir -p "$work/root/usr/lib/modules"
  cp -a "$(dirname -- "$modules")" "$work/root/usr/lib/modules/"
  depmod --basedir "$work/root/usr" "$version" 2>/dev/null ||
    depmod --basedir "$work/root" "$version"
}

main "$@"
