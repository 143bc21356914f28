// Volumes: reads and writes through the storage controller, attaching and detaching, snapshots,
// volumes of snapshots in another rack, and what the storage controller takes.

import { measureGuests } from './ebs-guest.ts'
import { measureIo } from './ebs-io.ts'
import { measureMemory, VOLUMES_OF_INSTANCE } from './ebs-memory.ts'
import { fill, measureSnapshots } from './ebs-snapshots.ts'
import { BenchVolumes } from './ebs-volumes.ts'
import { type Emit, median, skipped } from './harness.ts'
import { clientOf, imageIsWhole, launch, terminate } from './instances.ts'
import { planOf, say, withWorld } from './worlds.ts'

const CAPACITY = '32,16384,400'
const PLAN = planOf('bench-ebs', [
  {
    name: 'a',
    joinsOver: 'ipv4',
    hosts: [{ name: 'a1', roles: ['cc', 'sc', 'nc'], capacity: CAPACITY }],
  },
  {
    name: 'b',
    joinsOver: 'ipv4',
    hosts: [{ name: 'b1', roles: ['cc', 'sc', 'nc'], capacity: CAPACITY }],
  },
])
const [FROM, TO] = [
  { rack: 'a', host: 'a1' },
  { rack: 'b', host: 'b1' },
]
const DEVICE = '/dev/sdf'
/** A volume whose limits no disk here reaches. */
const FAST = { gib: 16, type: { VolumeType: 'io2', Iops: 16_000 } } as const
/** Several reports over a session each; a guest has to let go besides. */
const GOAL_MS = { attach: 1000, detach: 2000 }

interface Size {
  readonly bench: string
  readonly ioMib: number
  readonly randomCount: number
  readonly guestMib: number
  readonly guestSmallCount: number
  readonly rounds: number
  readonly snapshotMib: number
  readonly volumes: number
}

const WHOLE: Size = {
  bench: 'ebs',
  ...{
    ioMib: 1024,
    randomCount: 20_000,
    guestMib: 512,
    guestSmallCount: 4000,
    rounds: 10,
    snapshotMib: 10 * 1024,
    volumes: 100,
  },
}
const SMALL: Size = {
  bench: 'ebs-small',
  ...{
    ioMib: 64,
    randomCount: 1000,
    guestMib: 32,
    guestSmallCount: 200,
    rounds: 3,
    snapshotMib: 128,
    volumes: 10,
  },
}

export function run(emit: Emit): Promise<void> {
  return measure(emit, WHOLE)
}

/** All of it with less bytes, in a few minutes: to see that it works, not for figures. */
export function runSmall(emit: Emit): Promise<void> {
  return measure(emit, SMALL)
}

function measure(emit: Emit, size: Size): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const client = clientOf(world)
    const { bench, ioMib, randomCount, snapshotMib: mib } = size
    const gib = Math.ceil(mib / 1024)
    try {
      const volumes = new BenchVolumes(world, client, signal)
      const launched = (host: string) => launch(world, host, client, signal)
      // The first one on a host reads its image from the agent, which no QEMU by hand could.
      const first = await launched(FROM.host)
      await imageIsWhole(world, FROM.host, signal)
      await terminate(client, first.id, signal)
      const [here, there] = [await launched(FROM.host), await launched(TO.host)]
      const host = world.host(FROM.host)

      const volume = await volumes.create(FROM.rack, FAST.gib, FAST.type)
      await measureAttaching(emit, size, volumes, { volume, instance: here.id })
      const file = await volumes.fileOf(volume, FROM.host)
      await fill(host, file, Math.max(ioMib, size.guestMib))
      await volumes.attach(volume, here.id, DEVICE)
      const { guestMib, guestSmallCount: smallCount } = size
      const disk = { host: FROM.host, instance: here.id, volume, file }
      await measureGuests({ emit, bench, world, signal, ...disk, mib: guestMib, smallCount })
      const login = volumes.loginOf(volume, here.id, FROM.host)
      await measureIo({ emit, bench, host, login, file, mib: ioMib, randomCount })
      const reason = 'QEMU has no initiator of AoE, and the kernel one needs its module aoe'
      skipped(bench, 'reads and writes through vblade (AoE)', reason)
      await volumes.detach(volume)

      const to = { ...TO, instance: there.id }
      await measureSnapshots({ emit, bench, world, volumes, gib, mib, from: FROM, to })

      const instances = [here.id]
      while (instances.length * VOLUMES_OF_INSTANCE < size.volumes) {
        instances.push((await launched(FROM.host)).id)
      }
      const { volumes: count } = size
      await measureMemory({ emit, bench, host, rack: FROM.rack, volumes, instances, count })
    } finally {
      client.destroy()
    }
  })
}

async function measureAttaching(
  emit: Emit,
  { bench, rounds }: Size,
  volumes: BenchVolumes,
  { volume, instance }: { readonly volume: string; readonly instance: string },
): Promise<void> {
  const attachMs: number[] = []
  const detachMs: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const attached = await volumes.attach(volume, instance, DEVICE)
    const detached = await volumes.detach(volume)
    say(`attached in ${attached.toFixed(0)} ms, detached in ${detached.toFixed(0)}`)
    // The guest still boots, and tgtd starts.
    if (round === 0) continue
    attachMs.push(attached)
    detachMs.push(detached)
  }
  const line = { bench, unit: 'ms', higher_is_better: false }
  const [attach, detach] = [rounded(median(attachMs)), rounded(median(detachMs))]
  emit({ ...line, case: 'AttachVolume to attached', value: attach, goal: GOAL_MS.attach })
  emit({ ...line, case: 'DetachVolume to available', value: detach, goal: GOAL_MS.detach })
}

function rounded(ms: number): number {
  return Number(ms.toFixed(0))
}
