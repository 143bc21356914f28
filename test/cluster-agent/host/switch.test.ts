// The switch, its guard and its trunk on a simulated host, with the real tools.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { directReads } from '../../../cluster-agent/host/direct-reads.ts'
import { guardReconciler, removeGuard } from '../../../cluster-agent/host/guard.ts'
import { restoreOriginals } from '../../../cluster-agent/host/originals.ts'
import * as ovs from '../../../cluster-agent/host/ovs.ts'
import { ensureSwitch, type SwitchOptions, stopSwitch } from '../../../cluster-agent/host/switch.ts'
import { tapCounts, tapName } from '../../../cluster-agent/host/tap.ts'
import { trunkReconciler } from '../../../cluster-agent/host/trunk.ts'
import { probeFrame } from '../../../cluster-agent/nc/probe-frames.ts'
import { silentLog } from '../../../common/log.ts'
import { probeMachine } from '../../../common/machine.ts'
import { reconcileOnce } from '../../../common/reconcile.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'

const FLOWS = ['actions=NORMAL', 'table=1,priority=5,ip,nw_src=10.0.0.1,actions=drop']

describe('a switch of our own', { skip: whyNoHosts() ?? false }, () => {
  let dir: string
  let host: SimulatedHost
  let options: SwitchOptions
  let sw: ovs.Switch

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-switch-'))
    host = await startHost('switch', dir)
    const { exec, paths } = host
    options = { exec, paths, machine: await probeMachine(exec), log: silentLog }
    sw = await ensureSwitch(options)
    await exec(['ip', 'link', 'add', 'nic0', 'type', 'veth', 'peer', 'name', 'far0'])
  })
  after(async () => {
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const daemons = async () => (await host.exec(['pidof', 'ovs-vswitchd', 'ovsdb-server'])).stdout

  test('ensureSwitch adopts what runs', async () => {
    const running = await daemons()
    assert.deepEqual(await ensureSwitch(options), sw)
    assert.equal(await daemons(), running)
  })

  test('addPorts and deletePorts leave ports alone that are not ours', async () => {
    await ovs.vsctl(host.exec, sw, ['add-port', sw.bridge, 'far0'])
    const port = { name: 'gw7', tag: 7, internal: true, mac: '0a:00:00:00:00:07', mtu: 1420 }
    await ovs.addPorts(host.exec, sw, [port])
    assert.deepEqual(
      (await ovs.listPorts(host.exec, sw)).map(({ name, tag, internal }) => [name, tag, internal]),
      [['gw7', 7, true]],
    )
    await ovs.addPorts(host.exec, sw, [{ ...port, tag: 8 }])
    assert.equal((await ovs.listPorts(host.exec, sw))[0]?.tag, 8)
    await ovs.deletePorts(host.exec, sw, ['gw7', 'gone'])
    assert.equal((await ovs.vsctl(host.exec, sw, ['list-ports', sw.bridge])).trim(), 'far0')
    await ovs.vsctl(host.exec, sw, ['del-port', sw.bridge, 'far0'])
  })

  test('flowsInstalled is true of the flows that replaceFlows made, and of no others', async () => {
    assert.equal(await ovs.flowsInstalled(host.exec, sw, FLOWS), false)
    await ovs.replaceFlows(host.exec, sw, FLOWS)
    assert.equal(await ovs.flowsInstalled(host.exec, sw, FLOWS), true)
    assert.equal((await ovs.dumpFlows(host.exec, sw)).length, FLOWS.length)
    assert.equal(await ovs.flowsInstalled(host.exec, sw, FLOWS.slice(1)), false)
    await host.exec(['ovs-ofctl', '-O', 'OpenFlow15', 'del-flows', sw.mgmt, 'table=1'])
    assert.equal(await ovs.flowsInstalled(host.exec, sw, FLOWS), false)
  })

  test('directReads says of the switch what its programs do, and starts none', async () => {
    const started: string[] = []
    const direct = directReads(async (argv) => {
      started.push(argv.join(' '))
      return host.exec(argv)
    })
    await ovs.replaceFlows(host.exec, sw, FLOWS)
    const port = { name: 'gw7', tag: 7, internal: true, mac: '0a:00:00:00:00:07' }
    await ovs.addPorts(host.exec, sw, [port, { name: 'nic0', tag: null }])
    assert.deepEqual(await ovs.listPorts(direct, sw), await ovs.listPorts(host.exec, sw))
    assert.deepEqual(await ovs.readMarker(direct, sw), await ovs.readMarker(host.exec, sw))
    const add = ['--', 'add-br', 'other', '--', 'set', 'Bridge', 'other']
    await ovs.vsctl(host.exec, sw, [...add, `datapath_type=${sw.datapath}`])
    const elsewhere = { ...sw, mgmt: sw.mgmt.replace(sw.bridge, 'other') }
    const bare = await ovs.readMarker(direct, elsewhere)
    assert.deepEqual(bare, await ovs.readMarker(host.exec, elsewhere))
    assert.equal(bare.digest, null)
    assert.deepEqual(await ensureSwitch({ ...options, exec: direct }), sw)
    assert.deepEqual(started, [])
    await ovs.vsctl(host.exec, sw, ['--', 'del-br', 'other'])
    await assert.rejects(ovs.readMarker(direct, elsewhere), { code: 'CommandFailed' })
    assert.equal(started.length, 1)
    await ovs.deletePorts(host.exec, sw, ['gw7', 'nic0'])
  })

  test('ensureSwitch starts what died; the flows are gone then, the ports are not', async () => {
    await ovs.replaceFlows(host.exec, sw, FLOWS)
    await ovs.addPorts(host.exec, sw, [{ name: 'gw7', tag: 7, internal: true }])
    await host.exec(['kill', '-9', ...(await daemons()).trim().split(' ')])
    await ensureSwitch(options)
    assert.equal(await ovs.flowsInstalled(host.exec, sw, FLOWS), false)
    assert.deepEqual(
      (await ovs.listPorts(host.exec, sw)).map(({ name }) => name),
      ['gw7'],
    )
  })

  test('ensureSwitch refuses a bridge of our name that is not ours', async () => {
    await ovs.vsctl(host.exec, sw, ['remove', 'Bridge', sw.bridge, 'external_ids', ovs.OURS])
    await assert.rejects(ensureSwitch(options), { code: 'Conflict' })
    await ovs.vsctl(host.exec, sw, ['set', 'Bridge', sw.bridge, `external_ids:${ovs.OURS}=1`])
  })

  test('trunkReconciler plugs the NIC, and offloads are what they were after all', async () => {
    const { exec, paths } = host
    const offloads = async () =>
      (await exec(['ethtool', '-k', 'nic0'])).stdout.match(/^tx-checksumming: (\w+)/m)?.[1]
    assert.equal(await offloads(), 'on')
    const trunk = trunkReconciler({ exec, paths, sw, trunk: 'nic0' })
    assert.equal(await reconcileOnce(trunk, silentLog), 3)
    assert.equal(await reconcileOnce(trunk, silentLog), 0)
    assert.equal(await offloads(), 'off')
    const none = trunkReconciler({ exec, paths, sw, trunk: null })
    assert.equal(await reconcileOnce(none, silentLog), 1)
    await restoreOriginals(exec, paths)
    assert.equal(await offloads(), 'on')
  })

  test('guardReconciler keeps frames from the kernel, also of a device made anew', async () => {
    const { exec } = host
    const answers = async () => {
      const ping = ['ip', 'netns', 'exec', 'vm', 'ping', '-c', '1', '-W', '1', '10.5.0.1']
      return (await exec(ping, { okCodes: [0, 1, 2] })).code === 0
    }
    const plug = async () => {
      await exec(['ip', 'link', 'add', 'tap0', 'type', 'veth', 'peer', 'name', 'e0', 'netns', 'vm'])
      await exec(['ip', 'address', 'add', '10.5.0.1/24', 'dev', 'tap0'])
      await exec(['ip', '-n', 'vm', 'address', 'add', '10.5.0.2/24', 'dev', 'e0'])
      await exec(['ip', 'link', 'set', 'tap0', 'up'])
      await exec(['ip', '-n', 'vm', 'link', 'set', 'e0', 'up'])
    }
    await exec(['ip', 'netns', 'add', 'vm'])
    await plug()
    await until('the kernel answers', answers)
    const guard = guardReconciler({ exec, group: 'taps', ports: () => ['tap0'] })
    assert.equal(await reconcileOnce(guard, silentLog), 1)
    assert.equal(await reconcileOnce(guard, silentLog), 0)
    assert.equal(await answers(), false)
    await exec(['ip', 'link', 'del', 'tap0'])
    await plug()
    await reconcileOnce(guard, silentLog)
    assert.equal(await answers(), false)
    await removeGuard(exec, 'taps')
    // The first may be late: the neighbour was lost for as long as the guard stood.
    await until('the kernel answers again', answers)
  })

  test('sendFrames asks who is at a port, by ARP and by neighbour discovery', async () => {
    const { exec } = host
    const [mac, ipv4, ipv6] = ['02:00:00:00:00:aa', '10.6.0.2', 'fd06::2']
    const tap = tapName(mac)
    const inside = (...argv: string[]) => exec(['ip', '-n', 'asked', ...argv])
    await exec(['ip', 'netns', 'add', 'asked'])
    await exec(['ip', 'link', 'add', tap, 'type', 'veth', 'peer', 'name', 'e0', 'netns', 'asked'])
    await inside('link', 'set', 'e0', 'address', mac, 'up')
    await inside('address', 'add', `${ipv4}/24`, 'dev', 'e0')
    await inside('address', 'add', `${ipv6}/64`, 'dev', 'e0', 'nodad')
    await exec(['ip', 'link', 'set', tap, 'up'])
    await ovs.addPorts(exec, sw, [{ name: tap, tag: 6 }])
    // Who does not know the gateway's MAC yet asks for it before it answers.
    const answers = [`arp,arp_op=2,arp_spa=${ipv4}`, 'icmp6,icmp_type=135,nd_target=fe80::1']
    const drops = answers.map((match) => `table=0,priority=9,${match},actions=drop`)
    await ovs.replaceFlows(exec, sw, [...drops, 'table=0,priority=1,actions=NORMAL'])
    const ports = await ovs.listPorts(exec, sw)
    const ofport = ports.find(({ name }) => name === tap)?.ofport ?? -1
    const frames = [probeFrame({ mac, ipv4, ipv6 }), probeFrame({ mac, ipv4: '', ipv6 })]
    const before = (await tapCounts(exec)).get(tap) ?? -1
    for (const [i, answer] of answers.entries()) {
      await until(`there is an answer, ${answer}`, async () => {
        await ovs.sendFrames(exec, sw, [{ ofport, frame: frames[i] ?? '' }])
        const flows = ['ovs-ofctl', '-O', 'OpenFlow15', 'dump-flows', sw.mgmt, `table=0,${answer}`]
        return /n_packets=[1-9]/.test((await exec(flows)).stdout)
      })
    }
    assert.ok(((await tapCounts(exec)).get(tap) ?? 0) >= before + 2)
    await ovs.deletePorts(exec, sw, [tap])
    await exec(['ip', 'link', 'del', tap])
  })

  test('stopSwitch takes daemons, devices and files away, also of a switch that died', async () => {
    await host.exec(['kill', '-9', ...(await daemons()).trim().split(' ')])
    await stopSwitch(options)
    await stopSwitch(options)
    assert.equal((await host.exec(['pidof', 'ovs-vswitchd'], { okCodes: [1] })).stdout, '')
    assert.ok(!existsSync(join(host.paths.runDir, 'ovs')))
    const { stdout } = await host.exec(['ip', '-br', 'link'])
    assert.doesNotMatch(stdout, /br-int|ovs-netdev|gw7/)
  })

  test("ensureSwitch uses the system's switch when it answers, and leaves it running", async () => {
    const system = { exec: host.exec, paths: { ...host.paths, runDir: '/run' } }
    await host.exec(['mkdir', '-p', '/run/openvswitch'])
    await startSystemSwitch(host)
    const found = await ensureSwitch({ ...options })
    assert.equal(found.own, false)
    assert.equal(found.db, 'unix:/run/openvswitch/db.sock')
    await ovs.replaceFlows(host.exec, found, FLOWS)
    await ovs.vsctl(host.exec, found, [
      'add-br',
      'theirs',
      '--',
      'set',
      'Bridge',
      'theirs',
      'datapath_type=netdev',
    ])
    await stopSwitch({ ...system, paths: host.paths })
    assert.equal((await ovs.vsctl(host.exec, found, ['list-br'])).trim(), 'theirs')
  })
})

/** As Debian's service does, below /run of the host. */
async function startSystemSwitch({ exec, paths }: SimulatedHost): Promise<void> {
  const database = join(paths.stateDir, 'system.db')
  const outputFile = join(paths.stateDir, 'system.log')
  await exec(['ovsdb-tool', 'create', database, '/usr/share/openvswitch/vswitch.ovsschema'])
  const daemon = ['--detach', '--no-chdir', '--pidfile', '-vconsole:off', '-vsyslog:off']
  const remote = '--remote=punix:/run/openvswitch/db.sock'
  await exec(['ovsdb-server', database, remote, ...daemon], { outputFile })
  await exec(['ovs-vsctl', '--no-wait', 'init'])
  await exec(['ovs-vswitchd', ...daemon], { outputFile })
}
