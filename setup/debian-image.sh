#!/usr/bin/env bash
# debian-image.sh OUT_DIR
# Builds OUT_DIR/debian.qcow2: Debian 12 with its own systemd, OpenSSH and cloud-init, to see that a
# real image finds what it asks for. docs/guest-image.md says what it does; setup/debian/ has its
# files.
#
# mmdebstrap fills a folder, boot-disk.sh makes a disk of it. Kept when nothing has changed: the key
# is made of these scripts and the kernel's version.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=kernel.sh
. "$ROOT/setup/kernel.sh"
# shellcheck source=boot-disk.sh
. "$ROOT/setup/boot-disk.sh"

readonly FILES=$ROOT/setup/debian
readonly SUITE=bookworm
readonly PARTITION_MIB=700
readonly PACKAGES=systemd-sysv,udev,dbus,systemd-resolved,cloud-init,iproute2,openssh-server
# What an instance has devices for; the kernel itself is taken from its package as it is.
readonly MODULES=(failover net_failover virtio_net rng-core virtio-rng button evdev)

export LC_ALL=C

main() {
  [[ $# -eq 1 ]] || die 'debian-image.sh takes one argument' 'Usage: debian-image.sh OUT_DIR'
  mkdir -p -- "$1"
  out=$(readlink -f -- "$1")
  check_boot_disk_machine mmdebstrap qemu-img depmod
  exec 9>"$out/.debian.lock"
  flock --wait 900 9 || die 'another build has been running for 15 minutes' \
    "See who holds $out/.debian.lock."
  find_kernel
  local key
  key=$(cat "${BASH_SOURCE[0]}" "$ROOT/setup/boot-disk.sh" "$BOOT_FILES"/* "$FILES"/* \
    <(printf '%s' "$kernel") | sha256sum)
  if [[ -s $out/debian.qcow2 && -r $out/debian.key && $(<"$out/debian.key") == "$key" ]]; then
    return
  fi

  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  say 'Debian image: installing packages (a minute or two)'
  make_root
  unpack_packages "$work/packages" "$kernel" "${GRUB_PACKAGES[@]}"
  add_modules
  make_boot "$work/packages" "$work/root" "$work"
  say 'Debian image: writing the disk'
  make_disk "$work/packages" "$work/root" "$work" "$PARTITION_MIB" "$work/debian.raw"
  qemu-img convert -c -o compression_type=zstd -f raw -O qcow2 "$work/debian.raw" \
    "$work/debian.qcow2"
  mv -- "$work/debian.qcow2" "$out/debian.qcow2"
  printf '%s\n' "$key" >"$out/debian.key"
  say "Debian image: $out/debian.qcow2 is ready"
}

# The guest's file system, in $work/root. The archive is the one that this machine uses.
make_root() {
  local root=$work/root source unit
  source=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  mmdebstrap --quiet --mode=root --variant=apt --include="$PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
    --dpkgopt=force-unsafe-io \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Apt::Install-Recommends "false"' \
    "$SUITE" "$root" "${source:-http://deb.debian.org/debian}" ||
    die 'mmdebstrap failed' 'Check /etc/apt and the network, then run this again.'
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  # An empty one: each instance makes its own.
  : >"$root/etc/machine-id"
  rm -f "$root"/etc/ssh/ssh_host_*
  echo "LABEL=$BOOT_LABEL / ext4 rw,noatime 0 0" >"$root/etc/fstab"
  install -m 644 "$FILES/cloud-init.cfg" "$root/etc/cloud/cloud.cfg.d/90-mallee.cfg"
  install -D -m 644 "$FILES/system.conf" "$root/etc/systemd/system.conf.d/90-mallee.conf"
  chroot "$root" systemctl --quiet enable systemd-networkd.service
  chroot "$root" systemctl --quiet set-default multi-user.target
  while read -r unit; do
    [[ $unit == '#'* ]] || ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done <"$FILES/masked"
}

# Where udev looks for them.
add_modules() {
  local modules version target name file
  modules=$(dirname "$(find "$work/packages" -path '*/lib/modules/*/kernel' -prune)")
  version=${modules##*/}
  target=$work/root/usr/lib/modules/$version
  mkdir -p "$target/kernel"
  for name in "${MODULES[@]}" "${DISK_MODULES[@]}"; do
    file=$(find "$modules" -name "$name.ko*" -print -quit)
    [[ -z $file ]] || cp "$file" "$target/kernel/"
  done
  cp "$modules"/modules.{order,builtin,builtin.modinfo} "$target/"
  depmod --basedir "$work/root/usr" "$version" 2>/dev/null ||
    depmod --basedir "$work/root" "$version"
}

main "$@"
