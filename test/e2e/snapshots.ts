// Volumes that are snapshotted while a guest writes, come into the other rack, and outlive what
// kills the programs around them; with the stock aws CLI.

import assert from 'node:assert/strict'
import type { SandboxHost } from '../../sandbox/host.ts'
import type { TourInstance } from '../../sandbox/tour.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { E2eVolume, WAIT } from './e2e-volume.ts'
import { agentPid, qemuPid, restartAgent, timesUp } from './helpers.ts'

/** Of 4 KiB each: more than a guest writes while it is looked at. */
const BLOCKS = 8192
/** A file of known content, and one that the counter overwrites in place. */
const FORMAT = [
  'mke2fs $disk >/dev/null 2>&1 && mount -t ext4 $disk /mnt',
  'dd if=/dev/urandom of=/mnt/file bs=64k count=16 2>/dev/null',
  `dd if=/dev/zero of=/mnt/counter bs=64k count=${BLOCKS / 16} 2>/dev/null`,
  'sync && md5sum </mnt/file',
].join(' && ')
/** Of the guest's own disk, which is at rest, as far as its partition goes. */
const COPY_ROOT = [
  'cd /sys/block/vda/vda1; end=$(( ($(cat start) + $(cat size)) / 2048 )); cd /',
  'sync; dd if=/dev/vda of=$disk bs=1M count=$end conv=fsync 2>/dev/null',
].join('; ')
/** Each number in a block of its own, the next one only when that is flushed. */
const COUNT = [
  'rm -f /tmp/stop /tmp/failed; echo 0 >/tmp/count',
  `( i=0; while [ ! -e /tmp/stop ] && [ $i -lt ${BLOCKS} ]; do`,
  'printf %4096d $((i + 1)) | dd of=/mnt/counter bs=4096 seek=$i count=1 conv=notrunc,fsync',
  '[ $? = 0 ] || echo $i >/tmp/failed',
  'i=$((i + 1)); echo $i >/tmp/new && mv /tmp/new /tmp/count; done ) >/dev/null 2>&1 &',
  'echo $! >/tmp/counter',
]
  .join('; ')
  .replace('do;', 'do')
  .replace('&;', '&')
const STOP =
  'touch /tmp/stop; wait $(cat /tmp/counter); cat /tmp/failed 2>/dev/null; cat /tmp/count'
/** How many numbers there are, from 1 without a gap. */
const COUNTED = [
  "tr -d '\\0' </mnt/counter | tr -s ' ' '\\n'",
  `awk 'NF { n++; if ($1 != n) { print "gap before " $1; exit } } END { print n + 0 }'`,
].join(' | ')
const SUM = 'md5sum </mnt/file'
const SUMS = 'cat /mnt/file /mnt/more | md5sum'
const WRITE_MORE = ['dd if=/dev/urandom of=/mnt/more bs=64k count=4 2>/dev/null; sync', SUMS].join(
  ' && ',
)

export interface Written {
  /** Snapshots of the volume with the file and the counter, and of the copy of a root disk. */
  readonly data: string
  readonly root: string
  /** The volume with the file, attached to nothing now. */
  readonly volume: E2eVolume
  readonly sum: string
  /** How far the counter was before the snapshot was asked for, and when it was complete. */
  readonly least: number
  readonly most: number
}

/** Two volumes of one instance; its counter goes on while they are snapshotted, tgtd and the
 * agent are killed, and has no gap in the end. */
export async function snapshotUnderLoad(world: World, guest: TourInstance): Promise<Written> {
  const make = () => E2eVolume.create(world, guest.rack)
  const [data, root] = await Promise.all([make(), make()])
  await Promise.all([data.attach(guest.id, '/dev/sdf'), root.attach(guest.id, '/dev/sdg')])
  const sum = await data.in(guest.id, FORMAT)
  await root.in(guest.id, COPY_ROOT)
  await data.in(guest.id, COUNT)
  const counter = new Counter(world, guest.id)
  await counter.goesOn()
  const least = await counter.now()
  const ids = await Promise.all([data.snapshot(), root.snapshot()])
  const [most] = await Promise.all([
    completed(world, ids).then(() => counter.now()),
    killAround(world, guest, counter),
  ])
  const last = await counter.stop()
  const read = `umount /mnt && mount -t ext4 $disk /mnt && ${SUM} && ${COUNTED}`
  assert.equal(await data.in(guest.id, read), `${sum}\n${last}`)
  await data.in(guest.id, 'umount /mnt')
  await Promise.all([data.detach(), root.detach().then(() => root.delete())])
  return { data: ids[0], root: ids[1], volume: data, sum, least, most }
}

/** Waits as users do, and once more: a command has its time, and the machine may be busy. */
async function completed(world: World, ids: readonly string[]): Promise<void> {
  const wait = ['ec2', 'wait', 'snapshot-completed', '--snapshot-ids', ...ids]
  await world.aws(wait).catch(() => world.aws(wait))
}

async function killAround(world: World, guest: TourInstance, counter: Counter): Promise<void> {
  const { storage, node } = hostsOf(world, guest)
  const [target] = await pidsOf(storage, 'tgtd')
  assert.ok(target !== undefined)
  await storage.exec(['kill', '-9', target])
  await counter.goesOn()
  const qemu = await qemuPid(node, guest.id)
  await node.exec(['kill', '-9', await agentPid(node)])
  await counter.goesOn()
  await restartAgent(node)
  await counter.goesOn()
  assert.equal(await qemuPid(node, guest.id), qemu)
}

function hostsOf(world: World, guest: TourInstance): { storage: SandboxHost; node: SandboxHost } {
  const rack = world.plan.racks.find(({ name }) => name === guest.rack)
  const storage = rack?.hosts.find(({ roles }) => roles.includes('sc'))
  assert.ok(storage)
  return { storage: world.host(storage.name), node: world.host(world.hostOf(guest.id)) }
}

async function pidsOf(host: SandboxHost, program: string): Promise<string[]> {
  const { stdout } = await host.exec(['ps', '-C', program, '-o', 'pid='])
  return stdout.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
}

/** A volume of the snapshot in an instance of the other rack, with what was written; mounted. */
export async function restoreIn(world: World, to: TourInstance, written: Written) {
  const volume = await E2eVolume.create(world, to.rack, written.data)
  await volume.attach(to.id)
  const mount = `mount -t ext4 $disk /mnt && ${SUM} && ${COUNTED}`
  const [sum, counted] = (await volume.in(to.id, mount)).split('\n')
  assert.equal(sum, written.sum)
  assert.ok(Number(counted) >= written.least, `${counted} of at least ${written.least}`)
  assert.ok(Number(counted) <= written.most + 1, `${counted} of at most ${written.most}`)
  return volume
}

/** What its guest flushed is there after `kill` of its QEMU, when the guest is up once more. */
export async function outlivesGuest(
  world: World,
  { volume, guest }: { readonly volume: E2eVolume; readonly guest: TourInstance },
  kill: () => Promise<void>,
): Promise<void> {
  const sums = await volume.in(guest.id, WRITE_MORE)
  const times = await timesUp(world, guest.id)
  await kill()
  await until('the guest is up', async () => (await timesUp(world, guest.id)) > times, WAIT)
  assert.ok(await volume.isAttachedTo(guest.id))
  assert.equal(await volume.in(guest.id, `mount -t ext4 $disk /mnt && ${SUMS}`), sums)
}

/** In an instance of another host of its rack what was written is there. The volume goes then. */
export async function readElsewhere(to: string, { volume, sum }: Written) {
  await volume.attach(to)
  assert.equal(await volume.in(to, `mount -t ext4 $disk /mnt && ${SUM}; umount /mnt`), sum)
  await volume.detach()
  await volume.delete()
}

class Counter {
  readonly #world: World
  readonly #instance: string
  /** The console has one user at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(world: World, instance: string) {
    this.#world = world
    this.#instance = instance
  }

  /** The newest number that is acknowledged and flushed. */
  async now(): Promise<number> {
    return Number(await this.#run('cat /tmp/count'))
  }

  /** Waits for three more: those of before may have been under way. */
  async goesOn(): Promise<void> {
    const from = await this.now()
    await until('the guest writes on', async () => (await this.now()) > from + 2, WAIT)
  }

  /** The last number. */
  async stop(): Promise<number> {
    const output = await this.#run(STOP)
    assert.match(output, /^\d+$/, `no write failed: ${output}`)
    return Number(output)
  }

  #run(line: string): Promise<string> {
    const answer = this.#turn.then(() => this.#typed(line))
    this.#turn = answer.catch(() => undefined)
    return answer
  }

  async #typed(line: string): Promise<string> {
    const shell = await this.#world.shell(this.#instance)
    try {
      return (await shell.run(line, 60_000)).output.trim()
    } finally {
      shell.close()
    }
  }
}
