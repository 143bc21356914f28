// Ethernet frames as hex, true and false ones, and a way to send them that no kernel corrects.

import { mustAddress } from '../../../topology/cidr.ts'

const BROADCAST = 'ffffffffffff'

/** Perl, which every host has: sends the hex of standard input's lines out of eth0. */
export const SENDER = [
  ...['perl', '-e'],
  'use Socket; my $n = `cat /sys/class/net/eth0/ifindex`; socket(my $s, 17, 3, 0x0300) or die; ' +
    'my $to = pack("S n i S C C a8", 17, 3, $n, 1, 0, 6, ""); ' +
    'while (<STDIN>) { chomp; send($s, pack("H*", $_), 0, $to) or die $! }',
]

const hex = (n: number, bytes: number) => n.toString(16).padStart(bytes * 2, '0')
const macHex = (mac: string) => mac.replaceAll(':', '')
const addressHex = (text: string) => {
  const { family, value } = mustAddress(text)
  return value.toString(16).padStart(family === 4 ? 8 : 32, '0')
}

/** Reads two lines, a frame and a fence; prints how often the frame came until the second fence. */
export const LISTENER = [
  ...['perl', '-e'],
  'my ($f, $e) = map { chomp; pack("H*", $_) } <STDIN>; socket(my $s, 17, 3, 0x0300) or die; ' +
    'my ($n, $fences) = (0, 0); alarm 20; while ($fences < 2) { recv($s, my $b, 2000, 0); ' +
    '$n++ if index($b, $f) == 0; $fences++ if index($b, $e) == 0 } print $n',
]

interface Ends {
  readonly from: string
  readonly to: string
}

export function tagged(frame: string, tag: number): string {
  return `${frame.slice(0, 24)}8100${hex(tag, 2)}${frame.slice(24)}`
}

/** A reply to everybody: `ip` is at `mac`. */
export function arp(mac: string, sender: { mac: string; ip: string }): string {
  const body = `${macHex(sender.mac)}${addressHex(sender.ip)}${BROADCAST}${addressHex(sender.ip)}`
  return `${BROADCAST}${macHex(mac)}08060001080006040002${body}`.padEnd(120, '0')
}

export function udp(macs: Ends, ips: Ends, ports: readonly [number, number]): string {
  const data = '00'.repeat(16)
  const body = `${hex(ports[0], 2)}${hex(ports[1], 2)}${hex(8 + 16, 2)}0000${data}`
  const start = `4500${hex(20 + 8 + 16, 2)}000000004011`
  const end = `${addressHex(ips.from)}${addressHex(ips.to)}`
  const sum = checksum(`${start}0000${end}`)
  return `${macHex(macs.to)}${macHex(macs.from)}0800${start}${hex(sum, 2)}${end}${body}`
}

/** Without a checksum: the switch does not look. */
export function udp6(macs: Ends, ips: Ends, ports: readonly [number, number]): string {
  const body = `${hex(ports[0], 2)}${hex(ports[1], 2)}${hex(8 + 16, 2)}0000${'00'.repeat(16)}`
  const head = `60000000${hex(body.length / 2, 2)}1140${addressHex(ips.from)}${addressHex(ips.to)}`
  return `${macHex(macs.to)}${macHex(macs.from)}86dd${head}${body}`
}

/** ICMPv6 without a checksum: the switch does not look. */
export function icmp6(macs: Ends, ips: Ends, type: number, rest: string): string {
  const body = `${hex(type, 1)}000000${rest}`
  const head = `60000000${hex(body.length / 2, 2)}3aff${addressHex(ips.from)}${addressHex(ips.to)}`
  return `${macHex(macs.to)}${macHex(macs.from)}86dd${head}${body}`
}

/** What follows an advertisement's header: flags, whose address, at which MAC. */
export function advertised(address: string, mac: string): string {
  return `60000000${addressHex(address)}0201${macHex(mac)}`
}

function checksum(header: string): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 4) sum += Number.parseInt(header.slice(at, at + 4), 16)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
