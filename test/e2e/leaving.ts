// A host that leaves its rack, and joins it again, with the operator's program.

import assert from 'node:assert/strict'
import { systemClock } from '../../common/clock.ts'
import type { SandboxHost } from '../../sandbox/host.ts'
import { lanAddress } from '../../sandbox/plan.ts'
import { createToken, RACK_JOIN, rackJoin } from '../../sandbox/racks.ts'
import { TRUNK_DEVICE } from '../../sandbox/wiring.ts'
import type { World } from '../../sandbox/world.ts'

/** A node of rack a that has no instances: nothing of the cloud is left on it. */
export async function leaveRack(world: World, node: SandboxHost): Promise<void> {
  const startMs = systemClock.nowMs()
  await node.exec([RACK_JOIN, 'leave'], { timeoutMs: 60_000 })
  const { stdout: links } = await node.exec(['ip', '-o', 'link'])
  assert.doesNotMatch(links, /br-int|ovs|tap|mallee|gw\d/)
  const { stdout: tables } = await node.exec(['nft', 'list', 'tables'])
  assert.equal(tables.trim(), '')
  const { stdout: processes } = await node.exec(['ps', '-eo', 'args='])
  assert.doesNotMatch(processes, /qemu|ovs-|cluster-agent|wireguard|dnsmasq/)
  const status = await world.gateway.status()
  const hosts = status.racks.find((rack) => rack.name === 'a')?.hosts.map((one) => one.host)
  assert.ok(
    hosts !== undefined && !hosts.includes(node.name),
    `after ${systemClock.nowMs() - startMs} ms`,
  )
}

/** The plan for it changes nothing, and its token lets it in. */
export async function joinAgain(world: World, left: string): Promise<void> {
  const [rack] = world.plan.racks
  assert.ok(rack !== undefined)
  const planned = rack.hosts.find(({ name }) => name === left)
  assert.ok(planned !== undefined)
  const node = world.host(left)
  const token = await createToken(world.gateway, rack, planned)
  const invitation = `${token}@${lanAddress(1, 1)}`
  const flags = ['--host-name', left, '--roles', 'nc', '--trunk', TRUNK_DEVICE]
  const { stdout } = await node.exec([RACK_JOIN, '-', ...flags, '--plan', '--json'], {
    input: invitation,
  })
  const plan = JSON.parse(stdout) as { ok: boolean; checks: { name: string; outcome: string }[] }
  assert.ok(plan.ok, stdout)
  for (const name of ['programs', 'reach', 'clock', 'token', 'trunk', 'MTU']) {
    const check = plan.checks.find((one) => one.name === name)
    assert.equal(check?.outcome, 'ok', `${name}: ${stdout}`)
  }
  const { stdout: made } = await node.exec(
    ['find', '/var/lib/mallee', '/run/mallee', '-type', 'f'],
    {
      okCodes: [0, 1],
    },
  )
  assert.equal(made, '')
  await rackJoin(node, planned, invitation, ['--trunk', TRUNK_DEVICE])
}
