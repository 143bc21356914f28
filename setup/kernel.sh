# shellcheck shell=bash
# Which of Debian's kernels the images have. Sourced, after lib.sh.

readonly KERNEL_META=linux-image-cloud-amd64

# Sets `kernel` to name=version of the newest cloud kernel of this Debian.
find_kernel() {
  local name
  name=$(kernel_package)
  if [[ -z $name ]]; then
    say 'reading the package lists (apt-get update)'
    apt-get -qq update || die 'apt-get update failed' 'Mend what it says, then run this again.'
    name=$(kernel_package)
  fi
  [[ -n $name ]] || die "apt knows no $KERNEL_META" \
    'Check /etc/apt: Debian 12 and 13 have it in main.'
  kernel=$name=$(apt-cache policy "$name" | awk '/Candidate:/ { print $2 }')
}

kernel_package() {
  apt-cache depends "$KERNEL_META" 2>/dev/null |
    awk '/Depends: linux-image-[0-9]/ { print $2; exit }'
}
