#!/bin/sh
# init.sh NAME DIR: the first process of a sandbox host, in namespaces of its own. Gives the host
# what a machine has for itself (/run, /etc/mallee, /var/lib/mallee, /etc/hosts, /sys, a name), says
# `ready`, then reaps what daemons leave behind, as a real init does. Ends when its standard input
# does, that is with the sandbox, and everything in the host ends with it.
set -eu
name=$1
dir=$2

# Mounted copies of other hosts' network namespaces would keep those alive for as long as this host.
awk '$2 ~ "^/run/netns/" { print $2 }' /proc/mounts | while read -r place; do
  umount --lazy "$place" 2>/dev/null || true
done
mount -t tmpfs -o mode=755,size=64m tmpfs /run
mkdir -p /run/lock
mount -t tmpfs -o mode=755,size=1m tmpfs /etc/mallee
# On disk: images and instances live there.
mount --bind "$dir/state" /var/lib/mallee
mount --bind "$dir/hosts" /etc/hosts
# Shows this host's devices; the one that came along shows the machine's.
mount -t sysfs sysfs /sys
hostname "$name"
ip link set lo up
# A test waits for no duplicate address detection.
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0

exec 3<&0
echo ready
cat <&3 >/dev/null &
wait $!
