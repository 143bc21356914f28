#!/usr/bin/env bash
# guest-image.sh OUT_DIR
# Builds OUT_DIR/guest.raw, a small real guest for tests and for trying Mallee out: Debian's cloud
# kernel, busybox and dhcpcd on one ext4 partition behind BIOS GRUB. It boots in seconds even
# without KVM. docs/guest-image.md says what it does and prints; setup/guest/ has its files.
#
# Kept when nothing has changed: the key is made of these scripts and the kernel's version. Takes
# the packages' files out of their .deb without installing them; boot-disk.sh says what it needs.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=kernel.sh
. "$ROOT/setup/kernel.sh"
# shellcheck source=boot-disk.sh
. "$ROOT/setup/boot-disk.sh"

readonly FILES=$ROOT/setup/guest
readonly PARTITION_MIB=48
readonly OTHER_MODULES=(failover net_failover virtio_net rng-core virtio-rng button evdev)

export LC_ALL=C

main() {
  [[ $# -eq 1 ]] || die 'guest-image.sh takes one argument' 'Usage: guest-image.sh OUT_DIR'
  mkdir -p -- "$1"
  out=$(readlink -f -- "$1")
  check_boot_disk_machine

  # Tests that start together build once.
  exec 9>"$out/.guest.lock"
  flock --wait 300 9 || die 'another build has been running for five minutes' \
    "See who holds $out/.guest.lock."
  find_kernel
  local key
  key=$(cat "${BASH_SOURCE[0]}" "$ROOT/setup/boot-disk.sh" "$BOOT_FILES"/* "$FILES"/* \
    <(printf '%s' "$kernel") | sha256sum)
  if [[ -s $out/guest.raw && -r $out/guest.key && $(<"$out/guest.key") == "$key" ]]; then return; fi

  work=$(mktemp -d "$out/build.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  download
  say 'guest image: filling the file system'
  make_root
  make_boot "$work/packages" "$work/root" "$work"
  say 'guest image: writing the disk'
  make_disk "$work/packages" "$work/root" "$work" "$PARTITION_MIB" "$work/guest.raw"
  mv -- "$work/guest.raw" "$out/guest.raw"
  printf '%s\n' "$key" >"$out/guest.key"
  say "guest image: $out/guest.raw is ready"
}

# The packages' files, unpacked into $work/packages.
download() {
  local -a packages=("$kernel" dhcpcd-base "${GRUB_PACKAGES[@]}")
  # What dhcpcd is linked with differs between the releases; libc comes from this machine.
  mapfile -t -O "${#packages[@]}" packages < <(
    apt-cache depends dhcpcd-base | awk '/ Depends: lib/ && $2 != "libc6" { print $2 }'
  )
  say "guest image: downloading ${packages[*]}"
  unpack_packages "$work/packages" "${packages[@]}"
}

# The guest's file system, in $work/root.
make_root() {
  local root=$work/root
  mkdir -p "$root"/{bin,sbin,usr/sbin,lib64,etc/acpi/PWRF,proc,sys,dev,run,tmp,root,mnt,www}
  mkdir -p "$root"/var/{log,lib/dhcpcd} "$root"/lib/{modules,x86_64-linux-gnu}
  ln -s ../run "$root/var/run"
  chmod 700 "$root/root"
  chmod 1777 "$root/tmp"

  install_busybox "$root"
  ln -s ../bin/busybox "$root/sbin/init"
  install_program "$(find "$work/packages" -path '*/sbin/dhcpcd')" "$root"
  install_modules "$work/packages" "$root" "${DISK_MODULES[@]}" "${OTHER_MODULES[@]}"

  install -m 644 "$FILES/inittab" "$FILES/dhcpcd.conf" "$root/etc/"
  install -m 755 "$FILES"/{rc,rc.shutdown,console,network-event,metadata} "$root/etc/"
  install -m 755 "$FILES/power-button" "$root/etc/acpi/PWRF/00000080"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
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
  local library libraries
  libraries=$(libraries_of "$work/packages")
  for library in $(LD_LIBRARY_PATH=$libraries ldd "$1" | grep -o '/[^ ]*'); do
    case $library in
      */ld-linux*) cp -L "$library" "$2/lib64/" ;;
      *) cp -L "$library" "$2/lib/x86_64-linux-gnu/" ;;
    esac
  done
}

main "$@"
