// Volumes of a benchmark's world, through the API, and where they are on their storage controller.

import { join } from 'node:path'
import {
  AttachVolumeCommand,
  CreateSnapshotCommand,
  CreateVolumeCommand,
  type CreateVolumeCommandInput,
  DeleteVolumeCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  type EC2Client,
  type Snapshot,
  type Volume,
} from '@aws-sdk/client-ec2'
import { AgentState } from '../cluster-agent/state.ts'
import { MalleeError } from '../common/errors.ts'
import type { VolumeAttachment } from '../proto/gen/mallee/v1/volumes_pb.js'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'

const BECOMES_MS = 120_000
const SNAPSHOT_MS = 3_600_000
const POLL_MS = 25
const VOLUMES = '/var/lib/mallee/volumes'

type VolumeWish = Pick<CreateVolumeCommandInput, 'SnapshotId' | 'VolumeType' | 'Iops'>

/** One user's volumes; all waits end with the signal. */
export class BenchVolumes {
  readonly #world: World
  readonly #client: EC2Client
  readonly #signal: AbortSignal

  constructor(world: World, client: EC2Client, signal: AbortSignal) {
    this.#world = world
    this.#client = client
    this.#signal = signal
  }

  /** In a rack: gp3 unless `more` says what it is. Resolves when it is available. */
  async create(rack: string, gib: number, more: VolumeWish = {}): Promise<string> {
    this.#signal.throwIfAborted()
    const zone = `${this.#world.plan.region}-${rack}`
    const command = new CreateVolumeCommand({
      ...{ AvailabilityZone: zone, Size: gib, VolumeType: 'gp3' },
      ...more,
    })
    const { VolumeId } = await this.#client.send(command)
    const id = named(VolumeId, 'CreateVolume')
    await this.#becomes(id, ({ State }) => State === 'available')
    return id
  }

  /** ms from the call until it is attached, which is when the guest has it. */
  async attach(id: string, instance: string, device: string): Promise<number> {
    const where = { VolumeId: id, InstanceId: instance, Device: device }
    const startedMs = performance.now()
    await this.#client.send(new AttachVolumeCommand(where))
    await this.#becomes(id, ({ Attachments }) => Attachments?.[0]?.State === 'attached')
    return performance.now() - startedMs
  }

  /** ms from the call until it is available again. */
  async detach(id: string): Promise<number> {
    const startedMs = performance.now()
    await this.#client.send(new DetachVolumeCommand({ VolumeId: id }))
    await this.#becomes(id, ({ State }) => State === 'available')
    return performance.now() - startedMs
  }

  async delete(id: string): Promise<void> {
    await this.#client.send(new DeleteVolumeCommand({ VolumeId: id }))
  }

  /** Resolves when its bytes are at the gateway. */
  async snapshot(volume: string): Promise<{ readonly id: string; readonly ms: number }> {
    this.#signal.throwIfAborted()
    const startedMs = performance.now()
    const { SnapshotId } = await this.#client.send(new CreateSnapshotCommand({ VolumeId: volume }))
    const id = named(SnapshotId, 'CreateSnapshot')
    const isDone = async (): Promise<boolean> => {
      const { State, StateMessage } = await this.#snapshotOf(id)
      if (State !== 'error') return State === 'completed'
      throw new MalleeError('CommandFailed', `the snapshot ${id} failed: ${StateMessage}`)
    }
    await this.#until(`${id} is complete`, isDone, SNAPSHOT_MS)
    return { id, ms: performance.now() - startedMs }
  }

  /** Until nothing of its snapshot is still to come. */
  async isWhole(id: string): Promise<void> {
    const has = async (): Promise<boolean> => {
      const shown = (await this.#world.gateway.mallee(['volume', 'show', id])) as {
        readonly missingBytes: number
      }
      return shown.missingBytes === 0
    }
    await this.#until(`all of ${id} is there`, has, SNAPSHOT_MS)
  }

  /** The file of a volume, as its host knows it. */
  async fileOf(id: string, host: string): Promise<string> {
    const argv = ['find', VOLUMES, '-name', `${id}.raw`]
    const file = (await this.#world.host(host).exec(argv)).stdout.trim()
    if (file !== '' && !file.includes('\n')) return file
    throw new MalleeError('NotFound', `${VOLUMES} of ${host} has not one file of ${id}: ${file}`)
  }

  /** What an instance's host logs in with. */
  loginOf(id: string, instance: string, host: string): VolumeAttachment {
    const state = new AgentState(join(this.#world.host(host).stateDir, 'state.db'))
    try {
      const { body } = state.desired().get(`instance/${instance}`) ?? {}
      const volumes = body?.case === 'instance' ? body.value.volumes : []
      const found = volumes.find(({ volumeId }) => volumeId === id)
      if (found !== undefined) return found
    } finally {
      state.close()
    }
    throw new MalleeError('NotFound', `${host} was not told that ${instance} has ${id}`)
  }

  async #snapshotOf(id: string): Promise<Snapshot> {
    const asked = new DescribeSnapshotsCommand({ SnapshotIds: [id] })
    const { Snapshots } = await this.#client.send(asked)
    return Snapshots?.[0] ?? {}
  }

  async #becomes(id: string, isSo: (volume: Volume) => boolean): Promise<void> {
    const look = async (): Promise<boolean> => {
      const asked = new DescribeVolumesCommand({ VolumeIds: [id] })
      const { Volumes } = await this.#client.send(asked)
      const [volume] = Volumes ?? []
      return volume !== undefined && isSo(volume)
    }
    await this.#until(`${id} is as it was asked to be`, look, BECOMES_MS)
  }

  #until(what: string, holds: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    return until(what, holds, { timeoutMs, everyMs: POLL_MS, signal: this.#signal })
  }
}

function named(id: string | undefined, call: string): string {
  if (id !== undefined) return id
  throw new MalleeError('NotFound', `${call} named nothing`)
}
