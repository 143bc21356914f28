#!/usr/bin/env bash
# guest-image.sh OUT_DIR
# Builds OUT_DIR/guest.raw, a small real guest for tests and for trying Mallee out: Debian's cloud
# kernel, busybox and dhcpcd on one ext4 partition behind BIOS GRUB. It boots in seconds even
# without KVM. docs/guest-image.md says what it does and prints; setup/guest/ has its files.
#
# Neither loop mounts nor a chroot: mke2fs fills the file system, and GRUB goes into the gap behind
# the partition table by dd. Kept when nothing has changed: the key is made of these scripts and the
# kernel's version.
#
# Needs the packages cpio, e2fsprogs and busybox-static; takes the others' files out of their .deb
# without installing them.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=kernel.sh
. "$ROOT/setup/kernel.sh"

readonly FILES=$ROOT/setup/guest
readonly LABEL=mallee-guest
readonly PARTITION_MIB=48
readonly SECTORS_PER_MIB=2048
# In the order of their dependencies. ext4, af_packet and ipv6 are built into the kernel.
readonly DISK_MODULES=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
  virtio_blk)
readonly OTHER_MODULES=(failover net_failover virtio_net rng-core virtio-rng button evdev)

export LC_ALL=C

main() {
  [[ $# -eq 1 ]] || die 'guest-image.sh takes one argument' 'Usage: guest-image.sh OUT_DIR'
  mkdir -p -- "$1"
  out=$(readlink -f -- "$1")
  check_machine

  # Tests that start together build once.
  exec 9>"$out/.guest.lock"
  flock --wait 300 9 || die 'another build has been running for five minutes' \
    "See who holds $out/.guest.lock."
  find_kernel
  local key
  key=$(cat "${BASH_SOURCE[0]}" "$FILES"/* <(printf '%s' "$kernel") | sha256sum)
  if [[ -s $out/guest.raw && -r $out/guest.key && $(<"$out/guest.key") == "$key" ]]; then return; fi

  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  download
  say 'guest image: filling the file system'
  make_root
  make_initramfs
  say 'guest image: writing the disk'
  make_disk
  mv -- "$work/guest.raw" "$out/guest.raw"
  printf '%s\n' "$key" >"$out/guest.key"
  say "guest image: $out/guest.raw is ready"
}

check_machine() {
  [[ $(dpkg --print-architecture) == amd64 ]] ||
    die 'the guest image is built on amd64 only' 'Build it there and copy guest.raw over.'
  [[ $EUID -eq 0 ]] || die 'the guest image needs root: its files belong to root' 'Become root.'
  export PATH=$PATH:/usr/sbin:/sbin
  local program
  for program in cpio mke2fs busybox flock gzip; do
    command -v "$program" >/dev/null ||
      die "$program is not installed" \
        'Install cpio, e2fsprogs, busybox-static, util-linux and gzip.'
  done
}

# The packages' files, unpacked into $work/packages.
download() {
  local -a packages=("$kernel" dhcpcd-base grub-pc-bin grub-common libdevmapper1.02.1)
  # What dhcpcd is linked with differs between the releases; libc comes from this machine.
  mapfile -t -O "${#packages[@]}" packages < <(
    apt-cache depends dhcpcd-base | awk '/ Depends: lib/ && $2 != "libc6" { print $2 }'
  )
  say "guest image: downloading ${packages[*]}"
  mkdir "$work/debs" "$work/packages"
  (cd "$work/debs" && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}") ||
    die 'the packages cannot be downloaded' 'Run apt-get update, check the network, try again.'
  local deb
  for deb in "$work"/debs/*.deb; do dpkg-deb --extract "$deb" "$work/packages"; done
  modules=$(find "$work/packages" -path '*/lib/modules/*/kernel' -prune)
  export LD_LIBRARY_PATH=$work/packages/usr/lib/x86_64-linux-gnu:$work/packages/lib/x86_64-linux-gnu
}

# The guest's file system, in $work/root.
make_root() {
  local root=$work/root
  mkdir -p "$root"/{bin,sbin,usr/sbin,lib64,etc/acpi/PWRF,proc,sys,dev,run,tmp,root,mnt,www}
  mkdir -p "$root/boot/grub"
  mkdir -p "$root"/var/{log,lib/dhcpcd} "$root"/lib/{modules,x86_64-linux-gnu}
  ln -s ../run "$root/var/run"
  chmod 700 "$root/root"
  chmod 1777 "$root/tmp"

  install_busybox "$root"
  ln -s ../bin/busybox "$root/sbin/init"
  install_program "$(find "$work/packages" -path '*/sbin/dhcpcd')" "$root"
  install_modules "$root" "${DISK_MODULES[@]}" "${OTHER_MODULES[@]}"

  install -m 644 "$FILES/inittab" "$FILES/dhcpcd.conf" "$root/etc/"
  install -m 755 "$FILES"/{rc,rc.shutdown,console,network-event,metadata} "$root/etc/"
  install -m 755 "$FILES/power-button" "$root/etc/acpi/PWRF/00000080"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"

  cp "$work"/packages/boot/vmlinuz-* "$root/boot/vmlinuz"
  install -m 644 "$FILES/grub.cfg" "$root/boot/grub/grub.cfg"
}

# install_busybox ROOT
install_busybox() {
  cp "$(command -v busybox)" "$1/bin/busybox"
  local applet
  for applet in $(busybox --list); do
    [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"
  done
}

# install_program FILE ROOT: the program and the libraries that its loader names.
install_program() {
  cp "$1" "$2/usr/sbin/"
  local library
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    case $library in
      */ld-linux*) cp -L "$library" "$2/lib64/" ;;
      *) cp -L "$library" "$2/lib/x86_64-linux-gnu/" ;;
    esac
  done
}

# install_modules ROOT NAME...: flat, with their order beside them. Debian 13 compresses modules,
# which busybox's insmod does not read.
install_modules() {
  local root=$1 name file
  shift
  for name in "$@"; do
    file=$(find "$modules" -name "$name.ko*" -print -quit)
    # Not there: this kernel has it built in.
    [[ -n $file ]] || continue
    case $file in
      *.xz) xz -dc "$file" >"$root/lib/modules/$name.ko" ;;
      *) cp "$file" "$root/lib/modules/$name.ko" ;;
    esac
    echo "$name" >>"$root/lib/modules/order"
  done
}

# Finds the root file system: virtio_blk is a module.
make_initramfs() {
  local root=$work/initramfs
  mkdir -p "$root"/{bin,proc,sys,dev,root,lib/modules}
  cp "$(command -v busybox)" "$root/bin/busybox"
  install_modules "$root" "${DISK_MODULES[@]}"
  install -m 755 "$FILES/initramfs-init" "$root/init"
  (cd "$root" && find . | cpio --create --format=newc --quiet | gzip -9) \
    >"$work/root/boot/initrd.img"
}

# MBR, GRUB in the gap before the first MiB, one partition.
make_disk() {
  local disk=$work/guest.raw
  # No journal: a test guest is thrown away, and the space goes to it instead.
  truncate -s "${PARTITION_MIB}M" "$work/partition"
  # GRUB 2.06 reads neither of the other two features.
  mke2fs -q -t ext4 -m 0 -O ^has_journal,^metadata_csum_seed,^orphan_file -L "$LABEL" \
    -E lazy_itable_init=1,root_owner=0:0 -d "$work/root" "$work/partition"
  truncate -s "$((PARTITION_MIB + 1))M" "$disk"
  dd if="$work/partition" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none

  local grub=$work/packages/usr/lib/grub/i386-pc
  printf 'set root=(hd0,msdos1)\nconfigfile /boot/grub/grub.cfg\n' >"$work/early.cfg"
  "$work/packages/usr/bin/grub-mkimage" -d "$grub" -O i386-pc -c "$work/early.cfg" \
    -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 linux16 configfile normal
  # 440 bytes of boot code, then the partition table of 64 and the signature. boot.img loads sector
  # 1, which is where core.img expects to be: no block list has to be patched.
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
