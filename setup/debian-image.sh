#!/usr/bin/env bash
# debian-image.sh OUT_DIR
# Builds OUT_DIR/debian.raw: Debian 12 with its own cloud-init, to see that what real images ask of
# the metadata service is there. docs/guest-image.md says what it does.
#
# mmdebstrap fills a folder, mke2fs makes a file system of it, and GRUB goes into the gap behind the
# partition table by dd. Kept until this script changes.
#
# Needs the packages mmdebstrap, e2fsprogs and grub-pc-bin's files, which it downloads.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

readonly SUITE=bookworm
readonly LABEL=cloudimg-rootfs
readonly PARTITION_MIB=1000
readonly SECTORS_PER_MIB=2048
# isc-dhcp-client is what cloud-init 22.4 asks for an address with before it has one.
readonly PACKAGES=linux-image-cloud-amd64,systemd-sysv,udev,dbus,cloud-init,isc-dhcp-client,\
ifupdown,iproute2,openssh-server,ca-certificates

# Without KVM each probe of what is not there costs time.
readonly KERNEL_FLAGS='mitigations=off net.ifnames=0 no_timer_check random.trust_cpu=on'

export LC_ALL=C

main() {
  [[ $# -eq 1 ]] || die 'debian-image.sh takes one argument' 'Usage: debian-image.sh OUT_DIR'
  mkdir -p -- "$1"
  out=$(readlink -f -- "$1")
  check_machine
  exec 9>"$out/.debian.lock"
  flock --wait 900 9 || die 'another build has been running for 15 minutes' \
    "See who holds $out/.debian.lock."
  local key
  key=$(sha256sum <"${BASH_SOURCE[0]}")
  if [[ -s $out/debian.raw && -r $out/debian.key && $(<"$out/debian.key") == "$key" ]]; then
    return
  fi

  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  say 'Debian image: installing packages (some minutes)'
  make_root
  say 'Debian image: writing the disk'
  make_disk
  mv -- "$work/debian.raw" "$out/debian.raw"
  printf '%s\n' "$key" >"$out/debian.key"
  say "Debian image: $out/debian.raw is ready"
}

check_machine() {
  [[ $(dpkg --print-architecture) == amd64 ]] ||
    die 'the Debian image is built on amd64 only' 'Build it there and copy debian.raw over.'
  [[ $EUID -eq 0 ]] || die 'the Debian image needs root: its files belong to root' 'Become root.'
  export PATH=$PATH:/usr/sbin:/sbin
  local program
  for program in mmdebstrap mke2fs flock; do
    command -v "$program" >/dev/null ||
      die "$program is not installed" 'Install mmdebstrap, e2fsprogs and util-linux.'
  done
}

# The guest's file system, in $work/root. The archive is the one that this machine uses.
make_root() {
  local root=$work/root source
  source=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  mmdebstrap --quiet --variant=apt --include="$PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Apt::Install-Recommends "false"' \
    "$SUITE" "$root" "${source:-http://deb.debian.org/debian}" ||
    die 'mmdebstrap failed' 'Check /etc/apt and the network, then run this again.'
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  : >"$root/etc/machine-id"
  echo "LABEL=$LABEL / ext4 rw,noatime 0 1" >"$root/etc/fstab"
  configure "$root"

  cp "$root"/boot/vmlinuz-* "$root/boot/vmlinuz"
  cp "$root"/boot/initrd.img-* "$root/boot/initrd.img"
  mkdir -p "$root/boot/grub"
  cat >"$root/boot/grub/grub.cfg" <<EOF
linux16 /boot/vmlinuz root=LABEL=$LABEL rw console=ttyS0,115200 quiet loglevel=3 $KERNEL_FLAGS
initrd16 /boot/initrd.img
boot
EOF
}

# configure ROOT: cloud-init as it is, with only the modules that a launch shows, and no unit that
# waits or works for nobody.
configure() {
  local root=$1 unit
  cat >"$root/etc/cloud/cloud.cfg.d/90-mallee.cfg" <<'EOF'
datasource_list: [Ec2]
datasource:
  Ec2: {strict_id: false, timeout: 10, max_wait: 60}
cloud_init_modules: [migrator, seed_random, set_hostname, update_hostname, users-groups, ssh]
cloud_config_modules: []
cloud_final_modules: [scripts-user, final-message]
output: {all: '| tee -a /var/log/cloud-init-output.log /dev/console'}
EOF
  echo 'GRUB_DISABLE_OS_PROBER=true' >>"$root/etc/default/grub" 2>/dev/null || true
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer systemd-timesyncd.service e2scrub_reap.service \
    systemd-networkd-wait-online.service \
    getty@tty1.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
}

# MBR, GRUB in the gap before the first MiB, one partition.
make_disk() {
  local disk=$work/debian.raw grub=$work/packages/usr/lib/grub/i386-pc deb
  mkdir "$work/debs"
  (cd "$work/debs" &&
    apt-get download -qq -o APT::Sandbox::User=root grub-pc-bin grub-common libdevmapper1.02.1) ||
    die 'GRUB cannot be downloaded' 'Run apt-get update, check the network, try again.'
  for deb in "$work"/debs/*.deb; do dpkg-deb --extract "$deb" "$work/packages"; done
  local libraries=$work/packages/usr/lib/x86_64-linux-gnu:$work/packages/lib/x86_64-linux-gnu

  truncate -s "${PARTITION_MIB}M" "$work/partition"
  # GRUB 2.06 reads neither of the two features.
  mke2fs -q -t ext4 -m 0 -O ^metadata_csum_seed,^orphan_file -L "$LABEL" \
    -E lazy_itable_init=1,root_owner=0:0 -d "$work/root" "$work/partition"
  truncate -s "$((PARTITION_MIB + 1))M" "$disk"
  dd if="$work/partition" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none

  printf 'set root=(hd0,msdos1)\nconfigfile /boot/grub/grub.cfg\n' >"$work/early.cfg"
  LD_LIBRARY_PATH=$libraries "$work/packages/usr/bin/grub-mkimage" -d "$grub" -O i386-pc \
    -c "$work/early.cfg" -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 linux16 configfile normal
  # boot.img loads sector 1, which is where core.img expects to be.
  dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
  {
    printf '\x80\xfe\xff\xff\x83\xfe\xff\xff'
    little_endian_32 "$SECTORS_PER_MIB"
    little_endian_32 "$((PARTITION_MIB * SECTORS_PER_MIB))"
  } | dd of="$disk" bs=1 seek=446 conv=notrunc status=none
  printf '\x55\xaa' | dd of="$disk" bs=1 seek=510 conv=notrunc status=none
  dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
}

little_endian_32() {
  local shift
  for shift in 0 8 16 24; do
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $(($1 >> shift & 255)))"
  done
}

main "$@"
