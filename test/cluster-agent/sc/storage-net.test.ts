// The storage network of a rack with real packets, and volumes through it: hosts reach each other,
// guests reach nothing of it, and QEMU's initiator sees no more than a pause when tgtd dies.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { listLinks } from '../../../cluster-agent/host/ip.ts'
import { tgtdPid } from '../../../cluster-agent/host/tgt.ts'
import { tgtdFiles } from '../../../cluster-agent/paths.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { portalOf } from '../../../cluster-agent/sc/volumes/portal.ts'
import { type VolumesRole, volumesRole } from '../../../cluster-agent/sc/volumes/role.ts'
import { tgtTargets } from '../../../cluster-agent/sc/volumes/tgt.ts'
import { STORAGE_PORT } from '../../../cluster-agent/storage-net/names.ts'
import { keepStorageNet, removeStorageNet } from '../../../cluster-agent/storage-net/network.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { NetworkSchema, RackConfigSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { VolumeSchema, VolumeState } from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { STORAGE_VLAN_TAG } from '../../../topology/ranges.ts'
import { whyNoHosts } from '../../support/netns.ts'
import { memoryBlocks } from '../../support/snapshot-blocks.ts'
import { arp, LISTENER, SENDER, tagged, udp6 } from '../nc/frames.ts'
import { applyFlows, type Host, inside, nicOf, startRack, station } from '../nc/stations.ts'
import { tenancy } from '../nc/tenancy.ts'
import { Client, qemuIo } from './initiator.ts'

const NETWORK = 'fd01:2345:6789:1:1::'
const VOLUME = 'vol-00000000000000001'
const PORTAL = `[${NETWORK}2]:3260`
const TWO = { hostIndex: 2, trunk: 'trunk', storageAddress: null }
const GRANT = {
  attachment: 'a1',
  initiatorIqn: 'iqn.2026-01.cloud.mallee:a1',
  chapUser: 'a1',
  chapSecret: 'secret-of-the-first-one',
}
const OK = /wrote 4096\/4096 bytes/

const RACK = create(RackConfigSchema, {
  ...{ cloud: 'c', rack: 'a', rackIndex: 1, cloudFabric: 'fd01:2345:6789::/48' },
  members: [
    { host: 'one', index: 1 },
    { host: 'two', index: 2 },
  ],
  storageVlanTag: STORAGE_VLAN_TAG,
})

describe('the storage network', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-storage-'))
  const [here, there] = [station(1), station(3, 1)]
  let hosts: Host[] = []
  let volumes: VolumesRole

  before(async () => {
    hosts = await startRack(dir, [here, there])
    await keepNet()
    const { paths, exec: inHost } = two()
    volumes = volumesRole({
      ...{ exec: inHost, clock: systemClock, randomHex, log: silentLog, paths },
      config: { host: 'two' },
      portalOf: (rack) => portalOf({ exec: inHost, config: TWO }, rack),
      place: {
        backend: 'files',
        leave: async () => undefined,
        open: () => fileBackend(exec, join(paths.stateDir, 'volumes')),
        look: async () => ({
          sizeBytes: 2 ** 40,
          roomBytes: 2 ** 40,
          snapshots: false,
          backend: 'files',
        }),
      },
      targets: tgtTargets({ exec: inHost, clock: systemClock, files: tgtdFiles(paths) }),
      isAlive: () => true,
      endOf: memoryBlocks().end,
    })
  })
  after(async () => {
    await volumes?.close()
    for (const host of hosts) await host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const one = () => hosts[0] as Host
  const two = () => hosts[1] as Host

  function desiredOf(change: Parameters<typeof create<typeof VolumeSchema>>[1] = {}): Desired {
    const volume = create(VolumeSchema, {
      ...{ id: VOLUME, host: 'two', sizeBytes: 64n << 20n },
      targetIqn: `iqn.2026-01.cloud.mallee:${VOLUME}`,
      grants: [{ ...GRANT, generation: 1n }],
      ...change,
    })
    return new Map([
      ...tenancy({ groups: { 'sg-a': ['in all any', 'out all any'] } }),
      ['rack', resource('rack', { case: 'rack', value: RACK })],
      [`volume/${VOLUME}`, resource(`volume/${VOLUME}`, { case: 'volume', value: volume })],
    ])
  }

  /** `ownsFlows`: as on a host that only stores. */
  async function keepNet(desired: Desired = desiredOf(), ownsFlows = false): Promise<number> {
    let steps = 0
    for (const [at, host] of hosts.entries()) {
      const { exec, sw } = host
      const config = { hostIndex: at + 1, trunk: 'trunk' }
      const options = { exec, log: silentLog, config, sw, isOn: true, ownsFlows }
      steps += await keepStorageNet(options, desired)
      if (ownsFlows) continue
      const nic = nicOf(at === 0 ? here : there, { groupIds: ['sg-a'] })
      steps += await applyFlows(host, desired, [nic])
    }
    return steps
  }

  const login = { portal: PORTAL, targetIqn: `iqn.2026-01.cloud.mallee:${VOLUME}`, grant: GRANT }

  test('hosts reach each other with packets of full size, and a second pass does nothing', async () => {
    await one().exec(['ping', '-6', '-c', '1', '-W', '5', '-M', 'do', '-s', '1452', `${NETWORK}2`])
    assert.equal(await keepNet(), 0)
    await keepNet(desiredOf(), true)
    assert.equal(await keepNet(desiredOf(), true), 0)
    await one().exec(['ping', '-6', '-c', '1', '-W', '5', `${NETWORK}2`])
    await keepNet()
  })

  test('a volume is served there, its portal is told, and a bad one keeps it from nothing', async () => {
    const bad = create(VolumeSchema, { id: 'vol-2', host: 'two', sizeBytes: 1n })
    const desired = new Map([
      ...desiredOf(),
      ['volume/vol-2', resource('volume/vol-2', { case: 'volume', value: bad })],
    ])
    await volumes.pass(desired)
    assert.equal(volumes.store()?.portal, PORTAL)
    const [good, wrong, ...others] = volumes.statuses().map(({ body }) => body.value)
    assert.deepEqual(others, [])
    assert.ok(good?.$typeName === 'mallee.v1.VolumeStatus')
    assert.equal(good.state, VolumeState.READY)
    assert.deepEqual(
      good.grants.map(({ attachment, generation }) => [attachment, generation]),
      [['a1', 1n]],
    )
    assert.ok(wrong?.$typeName === 'mallee.v1.VolumeStatus')
    assert.equal(wrong.state, VolumeState.ERROR)
    assert.match(wrong.reason, /vol-2 is no volume id/)
    assert.match(await qemuIo(one(), login, 'write -P 7 0 4k'), OK)
    const log = await readFile(tgtdFiles(two().paths).log, 'utf8')
    assert.equal(log.includes(GRANT.chapSecret), false)
  })

  test('QEMU waits while tgtd is gone, and goes on when it is back', async () => {
    await volumes.pass(desiredOf())
    const client = new Client(one(), login)
    assert.match(await client.says('write -P 1 0 4k'), OK)
    const pid = await tgtdPid(two().exec, tgtdFiles(two().paths))
    await two().exec(['kill', '-KILL', String(pid)])
    const waiting = client.begin('write -P 2 4k 4k')
    await volumes.pass(desiredOf())
    assert.match(await waiting.answer(), OK)
    assert.match(await client.says('read -P 1 0 4k'), /read 4096\/4096/)
    await client.end()
  })

  test('a tgtd that does not listen there makes way for one that does', async () => {
    const files = tgtdFiles(two().paths)
    const pid = await tgtdPid(two().exec, files)
    await two().exec(['kill', '-KILL', String(pid)])
    const argv = ['setsid', '--fork', 'tgtd', '-f', '--iscsi', 'portal=127.0.0.1:3261']
    await two().exec(argv, { env: { TGT_IPC_SOCKET: files.socket }, outputFile: files.log })
    await volumes.pass(desiredOf())
    assert.match(await qemuIo(one(), login, 'read 0 4k'), /read 4096\/4096/)
  })

  test('a guest reaches neither the address nor the VLAN', async () => {
    const storage = (await listLinks(two().exec)).find(({ name }) => name === STORAGE_PORT)
    const own = (await listLinks(one().exec)).find(({ name }) => name === STORAGE_PORT)
    assert.ok(storage !== undefined && own !== undefined)
    // By its router, and at the port itself.
    const reaches = async (address: string): Promise<boolean> => {
      const argv = ['ping', '-6', '-c', '1', '-W', '1', address]
      return (await inside(one(), here, argv)).code === 0
    }
    assert.equal(await reaches(`${NETWORK}1`), false)
    assert.equal(await reaches(`${NETWORK}2`), false)
    await inside(one(), here, ['ip', 'route', 'add', `${NETWORK}/80`, 'dev', 'eth0'])
    const neighbour = ['lladdr', own.mac, 'dev', 'eth0']
    await inside(one(), here, ['ip', 'neigh', 'add', `${NETWORK}1`, ...neighbour])
    assert.equal(await reaches(`${NETWORK}1`), false)

    const macs = { from: here.mac, to: storage.mac }
    const plain = udp6(macs, { from: here.ipv6, to: `${NETWORK}2` }, [9, 9])
    const forged = udp6(
      { ...macs, from: own.mac },
      { from: `${NETWORK}1`, to: `${NETWORK}2` },
      [9, 9],
    )
    for (const frame of [plain, forged]) {
      for (const sent of [frame, tagged(frame, STORAGE_VLAN_TAG)]) {
        assert.equal(await leaves(frame, sent), false)
      }
    }
  })

  /** Sent by the guest of host one: is it seen on any device of host two, with a tag or without? */
  async function leaves(frame: string, sent: string): Promise<boolean> {
    const fence = arp(here.mac, { mac: here.mac, ip: '0.0.0.0' })
    let count = ''
    const listening = two().exec(LISTENER, { input: `${frame}\n${fence}\n` })
    const heard = listening.then(({ stdout }) => {
      count = stdout
    })
    await until('both fences arrive', async () => {
      await inside(one(), here, SENDER, `${sent}\n${fence}\n`)
      return count !== ''
    })
    await heard
    return count !== '0'
  }

  test('where a network of tenants has the tag there is none, and it says so', async () => {
    const value = create(NetworkSchema, { id: 'subnet-old', vlanTag: STORAGE_VLAN_TAG })
    const old = resource('network/subnet-old', { case: 'network', value })
    const desired = new Map([...desiredOf(), [old.key, old]])
    await assert.rejects(keepNet(desired), /subnet-old has its VLAN tag 4094/)
    assert.equal(
      (await listLinks(one().exec)).some(({ name }) => name === STORAGE_PORT),
      false,
    )
    assert.ok((await keepNet()) > 0)
  })

  test('removal leaves neither port nor table', async () => {
    await volumes.removeAll()
    for (const { exec, sw } of hosts) {
      await removeStorageNet({ exec, log: silentLog, sw })
      assert.equal(
        (await listLinks(exec)).some(({ name }) => name === STORAGE_PORT),
        false,
      )
      assert.doesNotMatch((await exec(['nft', 'list', 'tables'])).stdout, /mallee_storage/)
    }
  })
})
