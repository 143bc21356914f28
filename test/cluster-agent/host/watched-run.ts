// Run within a host of its own: changes what the host lists, one thing after another, and prints
// what no monitor told of.

import { KernelWatch } from '../../../cluster-agent/host/kernel-watch.ts'
import { systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'

const IP_CHANGES = [
  'ip tuntap add dev t1 mode tap',
  'ip link set dev t1 mtu 1400',
  'ip link set dev t1 up',
  'ip address add 10.9.9.1/24 dev t1',
  'ip address add fd09::1/64 dev t1 nodad',
  'ip route add 10.10.0.0/16 dev t1 proto 77',
  'ip route add 10.11.0.0/16 dev t1 proto 77 table 10011',
  'ip route add unreachable default table 10011',
  'ip route add local 192.0.2.7/32 dev t1 table local proto 77',
  'ip -6 route add fd10::/64 dev t1',
  'ip rule add pref 77 iif t1 lookup 10011 protocol 77',
  'ip -6 rule add pref 77 iif t1 lookup 10011 protocol 77',
  'ip rule del pref 77',
  'ip route flush table 10011',
  'ip address del 10.9.9.1/24 dev t1',
  'ip link set dev t1 down',
  'ip link delete dev t1',
  'ip link add v1 type veth peer name v2',
  'ip link add x1 type vxlan id 7 local 127.0.0.1 dstport 4789',
]
const NFT_CHANGES = [
  'nft add table inet t',
  'nft add set inet t s { type ipv4_addr; }',
  'nft add element inet t s { 192.0.2.1 }',
  'nft add chain inet t c { type filter hook input priority 0; }',
  'nft add rule inet t c ip saddr @s drop',
  'nft delete element inet t s { 192.0.2.1 }',
  'nft flush chain inet t c',
  'nft delete table inet t',
  'nft add table netdev d',
  'nft flush ruleset',
]
/** So long nothing must be heard where nothing is changed. */
const QUIET_MS = 150

const parts = { clock: systemClock, log: silentLog }
const [ip, nft] = [new KernelWatch('ip', parts), new KernelWatch('nft', parts)]
await until('both listen', () => ip.news() !== null && nft.news() !== null)

const unheard: string[] = []
for (const [watch, changes] of [
  [ip, IP_CHANGES],
  [nft, NFT_CHANGES],
] as const) {
  for (const change of changes) {
    await systemClock.sleep(QUIET_MS)
    const before = watch.news()
    await exec(change.split(' '))
    const isHeard = () => watch.news() !== before
    await until(change, isHeard, { timeoutMs: 1_000, everyMs: 5 }).catch(() => unheard.push(change))
  }
}

await systemClock.sleep(QUIET_MS)
const unasked: string[] = []
for (const [name, watch, looks] of [
  ['ip', ip, 'ip -json -details address show'],
  ['nft', nft, 'nft list ruleset'],
] as const) {
  const before = watch.news()
  await exec(looks.split(' '))
  await systemClock.sleep(QUIET_MS)
  if (watch.news() !== before) unasked.push(name)
}

const { stdout } = await exec(['pidof', '-s', 'nft'])

process.kill(Number(stdout), 'SIGKILL')
await until('its end is seen', () => nft.news() === null, { timeoutMs: 1_000, everyMs: 5 })
const afterKill = nft.news()
ip.close()
nft.close()
process.stdout.write(JSON.stringify({ unheard, unasked, afterKill }))
