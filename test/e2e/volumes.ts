// Ways of volumes, with the stock aws CLI: from one instance to one of another host, and as a
// snapshot to one of another rack.

import assert from 'node:assert/strict'
import type { GuestShell } from '../../sandbox/guest.ts'
import type { TourInstance } from '../../sandbox/tour.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'

const WAIT = { timeoutMs: 60_000, everyMs: 200 }
const DEVICE = '/dev/sdf'
/** Of 1 MiB that nobody guesses, on $disk. */
const WRITE = [
  'mke2fs $disk >/dev/null 2>&1 && mount -t ext4 $disk /mnt',
  'dd if=/dev/urandom of=/mnt/file bs=64k count=16 2>/dev/null',
  'md5sum </mnt/file && umount /mnt',
].join(' && ')
const READ = 'mount -t ext4 $disk /mnt && md5sum </mnt/file; umount /mnt'

interface DescribedVolume {
  readonly State: string
  readonly Attachments: readonly { readonly InstanceId: string; readonly State: string }[]
}

/** Written in one instance, read in another one, on another host; and nothing is left of it. */
export async function moveVolume(world: World, from: TourInstance, to: TourInstance) {
  assert.notEqual(world.hostOf(from.id), world.hostOf(to.id))
  const volume = await E2eVolume.create(world, from.rack)
  await volume.attach(from.id)
  const sum = await volume.writtenIn(from.id)
  await volume.detach()
  await volume.attach(to.id)
  assert.equal(await volume.readIn(to.id), sum)
  await volume.detach()
  await volume.delete()
}

/** A snapshot of what an instance has in use is a volume in the other rack, used before it came. */
export async function copyVolume(world: World, from: TourInstance, to: TourInstance) {
  assert.notEqual(from.rack, to.rack)
  const volume = await E2eVolume.create(world, from.rack)
  await volume.attach(from.id)
  const sum = await volume.writtenIn(from.id)
  const snapshot = await volume.snapshot()
  const copy = await E2eVolume.create(world, to.rack, ['--snapshot-id', snapshot])
  await copy.attach(to.id)
  assert.equal(await copy.readIn(to.id), sum)
  for (const one of [copy, volume]) {
    await one.detach()
    await one.delete()
  }
  await world.aws(['ec2', 'delete-snapshot', '--snapshot-id', snapshot])
}

class E2eVolume {
  readonly id: string
  readonly #world: World

  private constructor(world: World, id: string) {
    this.#world = world
    this.id = id
  }

  /** One of 1 GiB in a rack, when it is available. */
  static async create(
    world: World,
    rack: string,
    from: readonly string[] = ['--size', '1'],
  ): Promise<E2eVolume> {
    const zone = ['--availability-zone', `${world.plan.region}-${rack}`]
    const args = ['ec2', 'create-volume', ...from, '--volume-type', 'gp3', ...zone]
    const { VolumeId } = (await world.aws(args)) as { VolumeId: string }
    const volume = new E2eVolume(world, VolumeId)
    await volume.#becomes('available')
    return volume
  }

  async attach(instance: string): Promise<void> {
    const where = ['--volume-id', this.id, '--instance-id', instance, '--device', DEVICE]
    await this.#world.aws(['ec2', 'attach-volume', ...where])
    const isAttached = async () => {
      const [one] = (await this.#described()).Attachments
      return one?.InstanceId === instance && one.State === 'attached'
    }
    await until(`${this.id} is attached to ${instance}`, isAttached, WAIT)
  }

  async detach(): Promise<void> {
    await this.#world.aws(['ec2', 'detach-volume', '--volume-id', this.id])
    await this.#becomes('available')
  }

  async delete(): Promise<void> {
    await this.#world.aws(['ec2', 'delete-volume', '--volume-id', this.id])
    const isGone = async () => {
      const answer = await this.#described().catch((error: Error) => error.message)
      return typeof answer === 'string' && answer.includes('InvalidVolume.NotFound')
    }
    await until(`${this.id} is gone`, isGone, WAIT)
  }

  /** When it is complete. */
  async snapshot(): Promise<string> {
    const args = ['ec2', 'create-snapshot', '--volume-id', this.id]
    const { SnapshotId } = (await this.#world.aws(args)) as { SnapshotId: string }
    const isComplete = async () => {
      const find = ['ec2', 'describe-snapshots', '--snapshot-ids', SnapshotId]
      const answer = (await this.#world.aws(find)) as { Snapshots: { State: string }[] }
      return answer.Snapshots[0]?.State === 'completed'
    }
    await until(`${SnapshotId} is completed`, isComplete, WAIT)
    return SnapshotId
  }

  async #becomes(state: string): Promise<void> {
    const isSo = async () => (await this.#described()).State === state
    await until(`${this.id} is ${state}`, isSo, WAIT)
  }

  /** Makes a file system on it in the guest; the sum of a file there. */
  async writtenIn(instance: string): Promise<string> {
    return await this.#in(instance, WRITE)
  }

  async readIn(instance: string): Promise<string> {
    return await this.#in(instance, READ)
  }

  async #in(instance: string, line: string): Promise<string> {
    const shell = await this.#world.shell(instance)
    try {
      const disk = await this.#diskIn(shell)
      const { output } = await shell.run(`disk=${disk}; ${line}`)
      assert.match(output, /^[0-9a-f]{32} /)
      return output
    } finally {
      shell.close()
    }
  }

  /** The guest finds it by its serial number. */
  async #diskIn(shell: GuestShell): Promise<string> {
    const find = `grep -l ${this.id.replace('-', '')} /sys/block/*/serial`
    let path = ''
    const isThere = async () => {
      path = (await shell.run(find)).output.trim()
      return path !== ''
    }
    await until(`the guest has ${this.id}`, isThere, WAIT)
    return `/dev/${path.split('/')[3]}`
  }

  async #described(): Promise<DescribedVolume> {
    const args = ['ec2', 'describe-volumes', '--volume-ids', this.id]
    const { Volumes } = (await this.#world.aws(args)) as { Volumes: DescribedVolume[] }
    const [one] = Volumes
    assert.ok(one)
    return one
  }
}
