// The walking skeleton on real parts: a cloud of two racks on this machine, real guests, the stock
// aws CLI. One world for all tests here, in order; each leaves it whole for the next.

import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { objectsDir } from '../../cluster-agent/paths.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import type { RackPlan } from '../../sandbox/plan.ts'
import {
  describeInstances,
  launchEverywhere,
  pingAcross,
  type TourInstance,
} from '../../sandbox/tour.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import {
  leave,
  type SerialUser,
  serialUser,
  serialWish,
  whenFree,
} from '../support/serial-client.ts'
import { bootFromVolume, moveBooted } from './boot-volumes.ts'
import type { E2eVolume } from './e2e-volume.ts'
import { agentPid, pingsDuring, qemuPid, restartAgent, wireguardOnly } from './helpers.ts'
import { joinAgain, leaveRack } from './leaving.ts'
import { actAsGuest, giveRole } from './role.ts'
import {
  outlivesGuest,
  readElsewhere,
  restoreIn,
  snapshotUnderLoad,
  type Written,
} from './snapshots.ts'
import { roomyPlan } from './tenant.ts'
import { uploadImage } from './uploaded-image.ts'

let world: World
let a: TourInstance
let b: TourInstance
/** The images that they run from. */
let uploaded: readonly string[] = []
/** The host that rack-join leave took out. */
let left = ''
/** What the snapshots of volumes have, and a volume of one of them in the other rack. */
let written: Written
let restored: E2eVolume
/** The one that boots from a volume. */
let booted: TourInstance
const quiet = (): void => undefined

before(async () => {
  const plan = roomyPlan('e2e')
  world = await startWorld(plan, { log: silentLog, progress: (line) => console.error(line) })
  // Both boot from what a user uploaded, in parts, as the file is larger than the CLI's threshold.
  const [rackA, rackB] = world.plan.racks
  assert.ok(rackA !== undefined && rackB !== undefined)
  const zone = `${world.plan.region}-${rackB.name}`
  uploaded = [
    await uploadImage(world, { name: 'images', paddingMib: 1 }),
    await uploadImage(world, { name: 'images-of-rack', paddingMib: 2, zone }),
  ]
  const launch = (rack: RackPlan, imageId = ''): Promise<TourInstance[]> => {
    const inOne = { ...world, imageId, plan: { ...world.plan, racks: [rack] } }
    return launchEverywhere(inOne, quiet, new AbortController().signal)
  }
  const launched = [launch(rackA, uploaded[0]), launch(rackB, uploaded[1])]
  const [first, second] = (await Promise.all(launched)).flat()
  assert.ok(first !== undefined && second !== undefined)
  a = first
  b = second
})

after(async () => {
  await world?.stop()
})

test('instances of different racks reach each other over IPv4 and IPv6, both ways', async () => {
  assert.deepEqual([a.rack, b.rack], ['a', 'b'])
  await pingAcross(world, a, b, quiet)
  await pingAcross(world, b, a, quiet)
})

test('an instance serves its hostname, the one of its address, over HTTP to the other rack', async () => {
  const shell = await world.shell(a.id)
  try {
    for (const address of [b.ipv4, b.ipv6]) {
      const get = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${address} 80`
      const { output } = await shell.run(get)
      assert.match(output, new RegExp(`ip-${b.ipv4.replaceAll('.', '-')}`))
    }
  } finally {
    shell.close()
  }
})

test('the internet sees only WireGuard between the racks while instances talk', async () => {
  const seen = await wireguardOnly(world, async () => {
    await pingAcross(world, a, b, quiet)
  })
  assert.ok(seen.wireguard >= 6, `${seen.wireguard} WireGuard packets`)
  assert.deepEqual(seen.others, [])
})

test('instances boot from images uploaded in parts with aws s3 cp, of a rack’s bucket too', async () => {
  for (const bucket of ['images', 'images-of-rack']) {
    const head = ['s3api', 'head-object', '--bucket', bucket, '--key', 'guest.raw']
    const { ETag } = (await world.aws(head)) as { ETag: string }
    assert.match(ETag, /^"[0-9a-f]{32}-\d+"$/)
  }
  const instances = ['ec2', 'describe-instances', '--instance-ids', a.id, b.id]
  const query = 'Reservations[].Instances[].[InstanceId,ImageId]'
  const ran = (await world.aws([...instances, '--query', query])) as [string, string][]
  assert.deepEqual(
    new Map(ran),
    new Map([
      [a.id, uploaded[0]],
      [b.id, uploaded[1]],
    ]),
  )
  const objects = objectsDir(world.host('b1'))
  const { stdout } = await exec(['du', '--bytes', '--summarize', objects])
  assert.ok(Number.parseInt(stdout, 10) > (await stat(world.imageFile)).size, stdout)
})

test('GetConsoleOutput and DescribeInstanceStatus tell of a guest behind its CC', async () => {
  const output = (await world.aws([
    'ec2',
    'get-console-output',
    '--latest',
    '--instance-id',
    a.id,
  ])) as { Output: string }
  assert.match(output.Output, /MALLEE-GUEST/)
  const status = (await world.aws(['ec2', 'describe-instance-status'])) as {
    InstanceStatuses: { InstanceState: { Name: string } }[]
  }
  assert.deepEqual(
    status.InstanceStatuses.map((one) => one.InstanceState.Name),
    ['running', 'running'],
  )
})

test('an instance acts as its role, with credentials from its metadata and nothing else', async () => {
  await giveRole(world, a.id)
  const shell = await world.shell(a.id)
  try {
    const { arn, seen, refused } = await actAsGuest(world, shell)
    assert.match(arn, new RegExp(`^arn:aws:sts::\\d{12}:assumed-role/reader/${a.id}$`))
    assert.deepEqual(seen, await world.aws(['ec2', 'describe-instances']))
    assert.equal(refused, 'UnauthorizedOperation')
  } finally {
    shell.close()
  }
})

test('a user types at the serial console of a guest behind its CC', async () => {
  await world.aws(['ec2', 'enable-serial-console-access'])
  const user = await serialConsole(a)
  user.send('\n')
  user.send('echo out-$((40 + 2))\n')
  await user.hears('out-42')
  const isLogged = async () => (await world.consoleLog(a.id)).includes('out-42')
  await until('the log has it, too', isLogged)
  await leave(user)
})

test('kill -9 of a CC agent stops no packet, and its next start adopts what is there', async () => {
  const cc = world.host('a1')
  const lost = await pingsDuring(world, a, b, async () => {
    await cc.exec(['kill', '-9', await agentPid(cc)])
    await restartAgent(cc)
  })
  assert.equal(lost, 0)
})

test('kill -9 of an NC agent leaves its guest running, and the next start adopts it', async () => {
  const node = world.host(world.hostOf(a.id))
  const before = await qemuPid(node, a.id)
  // The CC that was killed just before may still be waiting for its nodes.
  const user = await whenFree(() => serialConsole(a))
  const lost = await pingsDuring(world, b, a, async () => {
    await node.exec(['kill', '-9', await agentPid(node)])
    await restartAgent(node)
  })
  assert.equal(lost, 0)
  assert.equal(await qemuPid(node, a.id), before)
  const { code, reason } = await user.closed
  assert.ok(code === 1000 || code === 1011, `${code} ${reason}`)
  const next = await whenFree(() => serialConsole(a))
  next.send('echo still-$((40 + 2))\n')
  await next.hears('still-42')
  await leave(next)
})

test('kill -9 of the gateway stops no packet; after its return all is as it was', async () => {
  const known = await describeInstances(world.aws)
  const lost = await pingsDuring(world, a, b, async () => {
    await world.gateway.stop('SIGKILL')
    await world.gateway.start()
  })
  assert.equal(lost, 0)
  const connected = async (): Promise<boolean> =>
    (await world.gateway.status()).racks.every((rack) => rack.hosts.every((one) => one.connected))
  await until('all hosts are back', connected, { timeoutMs: 60_000, everyMs: 200 })
  assert.deepEqual(await describeInstances(world.aws), known)
})

test('a volume is snapshotted while its guest writes and outlives kill -9 around it', async () => {
  written = await snapshotUnderLoad(world, a)
})

test('a snapshot becomes a volume in the other rack, where its file system mounts', async () => {
  restored = await restoreIn(world, b, written)
})

test('an instance boots from a volume of a snapshot', async () => {
  booted = await bootFromVolume(world, written.root)
})

test('it starts on another host, its image in the other rack; a volume follows to that host', async () => {
  const from = world.hostOf(a.id)
  let read = 0
  await moveBooted(world, booted, async (host) => {
    if (host === from || read > 0) return
    await readElsewhere(booted.id, written)
    read += 1
  })
  assert.equal(read, 1)
})

function serialConsole({ id: instance }: TourInstance): Promise<SerialUser> {
  const { endpoint, region, credentials: init } = world.target
  const config = { apiPort: Number(new URL(endpoint).port) }
  return serialUser(serialWish({ config, init }, { instance, region }))
}

test('RunInstances without room answers InsufficientInstanceCapacity and makes nothing', async () => {
  const known = await describeInstances(world.aws)
  const args = ['--image-id', world.imageId, '--instance-type', 'm5.24xlarge']
  await assert.rejects(world.aws(['ec2', 'run-instances', ...args]), /InsufficientInstanceCapacity/)
  assert.deepEqual(await describeInstances(world.aws), known)
})

test('an instance whose QEMU dies runs again with its volume, or is stopped and says why', async () => {
  const host = world.host('b1')
  const first = await qemuPid(host, b.id)
  const args = ['ec2', 'describe-instances', '--instance-ids', b.id]
  let instance = { State: { Name: '' }, StateReason: { Code: '', Message: '' } }
  const isIn = async (name: string): Promise<boolean> => {
    const answer = (await world.aws(args)) as { Reservations: { Instances: [typeof instance] }[] }
    instance = answer.Reservations[0]?.Instances[0] ?? instance
    return instance.State.Name === name
  }
  const recovered = async (): Promise<boolean> =>
    (await isIn('running')) && (await qemuPid(host, b.id).catch(() => first)) !== first
  await outlivesGuest(world, { volume: restored, guest: b }, async () => {
    await host.exec(['kill', '-9', first])
    await until('the instance runs again', recovered, { timeoutMs: 60_000, everyMs: 200 })
  })
  const options = ['ec2', 'modify-instance-maintenance-options', '--auto-recovery', 'disabled']
  await world.aws([...options, '--instance-id', b.id])
  await host.exec(['kill', '-9', await qemuPid(host, b.id)])
  await until('it is stopped', () => isIn('stopped'), { timeoutMs: 60_000, everyMs: 200 })
  assert.equal(instance.StateReason.Code, 'Server.InternalError')
})

test('rack-join leave takes a node out and leaves nothing on it', async () => {
  const node = world.host(world.hostOf(a.id))
  left = node.name
  await world.aws(['ec2', 'terminate-instances', '--instance-ids', a.id, b.id])
  const gone = async (): Promise<boolean> => (await describeInstances(world.aws)).length === 0
  await until('the instance is gone', gone, { timeoutMs: 60_000, everyMs: 200 })
  await leaveRack(world, node)
})

test('rack-join --plan changes nothing, and the same token lets the host in again', async () => {
  await joinAgain(world, left)
})
