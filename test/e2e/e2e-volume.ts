// A volume of a world as its user has it, with the stock aws CLI, and its disk inside of guests.

import assert from 'node:assert/strict'
import type { GuestShell } from '../../sandbox/guest.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { at } from './tenant.ts'

export const WAIT = { timeoutMs: 90_000, everyMs: 200 }

interface DescribedVolume {
  readonly State: string
  readonly Attachments: readonly { readonly InstanceId: string; readonly State: string }[]
}

export class E2eVolume {
  readonly id: string
  readonly #world: World

  private constructor(world: World, id: string) {
    this.#world = world
    this.id = id
  }

  /** One of 1 GiB in a rack, empty or of a snapshot, when it is available. */
  static async create(world: World, rack: string, snapshot?: string): Promise<E2eVolume> {
    const zone = ['--availability-zone', `${world.plan.region}-${rack}`]
    const what = snapshot === undefined ? ['--size', '1'] : ['--snapshot-id', snapshot]
    const args = ['ec2', 'create-volume', ...what, '--volume-type', 'gp3', ...zone]
    const volume = new E2eVolume(world, at(await world.aws(args), 'VolumeId'))
    await volume.#becomes('available')
    return volume
  }

  async attach(instance: string, device = '/dev/sdf'): Promise<void> {
    const where = ['--volume-id', this.id, '--instance-id', instance, '--device', device]
    await this.#world.aws(['ec2', 'attach-volume', ...where])
    await until(`${this.id} is attached to ${instance}`, () => this.isAttachedTo(instance), WAIT)
  }

  async isAttachedTo(instance: string): Promise<boolean> {
    const [one] = (await this.#described()).Attachments
    return one?.InstanceId === instance && one.State === 'attached'
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

  /** The id of a snapshot that is begun and not waited for. */
  async snapshot(): Promise<string> {
    const args = ['ec2', 'create-snapshot', '--volume-id', this.id]
    return at(await this.#world.aws(args), 'SnapshotId')
  }

  /** What a line of shell says in a guest that has the volume as $disk. */
  async in(instance: string, line: string): Promise<string> {
    const shell = await this.#world.shell(instance)
    try {
      const { output, code } = await shell.run(`disk=${await this.diskIn(shell)}; ${line}`, 60_000)
      assert.equal(code, 0, `${line}: ${output}`)
      return output.trim()
    } finally {
      shell.close()
    }
  }

  /** The guest finds it by its serial number. */
  async diskIn(shell: GuestShell): Promise<string> {
    const find = `grep -l ${this.id.replace('-', '')} /sys/block/*/serial`
    let path = ''
    const isThere = async () => {
      path = (await shell.run(find)).output.trim()
      return path !== ''
    }
    await until(`the guest has ${this.id}`, isThere, WAIT)
    return `/dev/${path.split('/')[3]}`
  }

  async #becomes(state: string): Promise<void> {
    const isSo = async () => (await this.#described()).State === state
    await until(`${this.id} is ${state}`, isSo, WAIT)
  }

  async #described(): Promise<DescribedVolume> {
    const args = ['ec2', 'describe-volumes', '--volume-ids', this.id]
    const { Volumes } = (await this.#world.aws(args)) as { Volumes: DescribedVolume[] }
    const [one] = Volumes
    assert.ok(one)
    return one
  }
}
