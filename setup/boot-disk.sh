# shellcheck shell=bash
# How the guest images become disks that a PC boots from: Debian's packages taken apart, an
# initramfs that finds the root file system, a partition with GRUB in front of it. Sourced, after
# lib.sh.
#
# Neither loop mounts nor a chroot: mke2fs fills the file system, and GRUB goes into the gap behind
# the partition table by dd. Needs cpio, e2fsprogs and busybox-static, and root.

readonly BOOT_FILES=$ROOT/setup/boot
# Of the root file system; boot/grub.cfg names it.
readonly BOOT_LABEL=mallee-guest
readonly GRUB_PACKAGES=(grub-pc-bin grub-common libdevmapper1.02.1)
readonly SECTORS_PER_MIB=2048
# In the order of their dependencies. ext4, af_packet and ipv6 are built into the kernel.
readonly DISK_MODULES=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
  virtio_blk)

check_boot_disk_machine() {
  [[ $(dpkg --print-architecture) == amd64 ]] ||
    die 'guest images are built on amd64 only' 'Build it there and copy the file over.'
  [[ $EUID -eq 0 ]] || die 'a guest image needs root: its files belong to root' 'Become root.'
  export PATH=$PATH:/usr/sbin:/sbin
  local program
  for program in cpio mke2fs busybox flock gzip "$@"; do
    command -v "$program" >/dev/null ||
      die "$program is not installed" "Install the packages of $ROOT/setup/packages.txt."
  done
}

# unpack_packages DIR NAME[=VERSION]...: the packages' files in DIR; nothing is installed.
unpack_packages() {
  local dir=$1 deb
  shift
  mkdir -p "$dir.debs" "$dir"
  (cd "$dir.debs" && apt-get download -qq -o APT::Sandbox::User=root "$@") ||
    die 'the packages cannot be downloaded' 'Run apt-get update, check the network, try again.'
  for deb in "$dir.debs"/*.deb; do dpkg-deb --extract "$deb" "$dir"; done
}

# libraries_of DIR: where programs of unpacked packages find theirs, for LD_LIBRARY_PATH.
libraries_of() {
  printf '%s' "$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu"
}

# install_modules PACKAGES_DIR ROOT NAME...: flat, with their order beside them. Debian 13
# compresses modules, which busybox's insmod does not read.
install_modules() {
  local packages=$1 root=$2 modules name file
  shift 2
  modules=$(find "$packages" -path '*/lib/modules/*/kernel' -prune)
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

# make_boot PACKAGES_DIR ROOT WORK: ROOT/boot with kernel, initramfs and GRUB's menu.
make_boot() {
  local packages=$1 root=$2 initramfs=$3/initramfs
  mkdir -p "$root/boot/grub" "$initramfs"/{bin,proc,sys,dev,root,lib/modules}
  cp "$packages"/boot/vmlinuz-* "$root/boot/vmlinuz"
  install -m 644 "$BOOT_FILES/grub.cfg" "$root/boot/grub/grub.cfg"
  # virtio_blk is a module.
  cp "$(command -v busybox)" "$initramfs/bin/busybox"
  install_modules "$packages" "$initramfs" "${DISK_MODULES[@]}"
  install -m 755 "$BOOT_FILES/initramfs-init" "$initramfs/init"
  (cd "$initramfs" && find . | cpio --create --format=newc --quiet | gzip -9) \
    >"$root/boot/initrd.img"
}

# make_disk PACKAGES_DIR ROOT WORK MIB FILE: MBR, GRUB in the gap before the first MiB, one
# partition of MIB with ROOT's files.
make_disk() {
  local packages=$1 root=$2 work=$3 mib=$4 disk=$5
  local grub=$packages/usr/lib/grub/i386-pc
  # No journal: a test guest is thrown away, and the space goes to it instead.
  truncate -s "${mib}M" "$work/partition"
  # GRUB 2.06 reads neither of the other two features.
  mke2fs -q -t ext4 -m 0 -O ^has_journal,^metadata_csum_seed,^orphan_file -L "$BOOT_LABEL" \
    -E lazy_itable_init=1,root_owner=0:0 -d "$root" "$work/partition"
  truncate -s "$((mib + 1))M" "$disk"
  dd if="$work/partition" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
  rm "$work/partition"

  printf 'set root=(hd0,msdos1)\nconfigfile /boot/grub/grub.cfg\n' >"$work/early.cfg"
  LD_LIBRARY_PATH=$(libraries_of "$packages") "$packages/usr/bin/grub-mkimage" -d "$grub" \
    -O i386-pc -c "$work/early.cfg" -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 linux16 configfile normal
  # 440 bytes of boot code, then the partition table of 64 and the signature. boot.img loads sector
  # 1, which is where core.img expects to be: no block list has to be patched.
  dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
  {
    printf '\x80\xfe\xff\xff\x83\xfe\xff\xff'
    little_endian_32 "$SECTORS_PER_MIB"
    little_endian_32 "$((mib * SECTORS_PER_MIB))"
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
