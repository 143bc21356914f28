// Volumes of a host that is a model: an SC that grants at once what is newer than what it granted
// before, and guests that have what they are told. It looks at what a real host would stumble over,
// and refuses that.

import { create } from '@bufbuild/protobuf'
import type { Instance } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  type Status,
  StatusSchema,
  type VolumeStore,
  VolumeStoreSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import {
  type PluggedVolume,
  PluggedVolumeSchema,
  type Volume,
  type VolumeAttachment,
  VolumeState,
  type VolumeStatus,
  VolumeStatusSchema,
} from '../../proto/gen/mallee/v1/volumes_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { type Ledger, NO_GRANTS, nextLedger } from '../sc/volumes/ledger.ts'
import { wantedVolume } from '../sc/volumes/messages.ts'
import type { WantedVolume } from '../sc/volumes/wanted.ts'

const GIB = 2n ** 30n
/** What an SC may make of volumes; a model needs no disk for them. */
const STORE_BYTES = 4096n * GIB

interface Kept {
  readonly ledger: Ledger
  readonly sizeBytes: number
  readonly reason: string
  readonly state: VolumeState
}

export interface SimulatedVolumesOptions {
  readonly host: string
  readonly isSc: boolean
  /** Does it have a guest now? */
  readonly hasGuest: (instanceId: string) => boolean
}

/** The model's volumes, as SC and in guests. */
export class SimulatedVolumes {
  readonly #options: SimulatedVolumesOptions
  readonly #kept = new Map<string, Kept>()
  #instances = new Map<string, Instance>()

  constructor(options: SimulatedVolumesOptions) {
    this.#options = options
  }

  /** Null without the role sc. */
  store(): VolumeStore | null {
    if (!this.#options.isSc) return null
    const used = [...this.#kept.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return create(VolumeStoreSchema, {
      ...{ portal: '192.0.2.1:3260', backend: 'files', snapshots: true, encrypts: true },
      sizeBytes: STORE_BYTES,
      roomBytes: STORE_BYTES - BigInt(used),
    })
  }

  follow(desired: Desired): void {
    const { host } = this.#options
    const instances = bodies(desired, 'instance').filter((one) => one.host === host)
    this.#instances = new Map(instances.map((one) => [one.id, one]))
    for (const volume of bodies(desired, 'volume')) {
      if (volume.host === host)
        this.#kept.set(volume.id, nextKept(this.#kept.get(volume.id), volume))
    }
  }

  statuses(): Status[] {
    return [...this.#kept].map(([id, kept]) => {
      const value = this.#status(id, kept)
      return create(StatusSchema, { key: `volume/${id}`, body: { case: 'volume', value } })
    })
  }

  /** What the guest of an instance has. */
  plugged(instanceId: string): PluggedVolume[] {
    if (!this.#options.hasGuest(instanceId)) return []
    return (this.#instances.get(instanceId)?.volumes ?? []).map((one) =>
      create(PluggedVolumeSchema, {
        volumeId: one.volumeId,
        attachment: one.attachment,
        generation: one.generation,
        sizeBytes: one.sizeBytes,
        trouble: troubleOf(one),
      }),
    )
  }

  clear(): void {
    this.#kept.clear()
    this.#instances.clear()
  }

  #status(id: string, { ledger, sizeBytes, reason, state }: Kept): VolumeStatus {
    return create(VolumeStatusSchema, {
      ...{ id, host: this.#options.host, state, reason, sizeBytes: BigInt(sizeBytes) },
      grants: ledger.inForce.map(({ attachment, generation }) => ({
        attachment,
        generation: BigInt(generation),
        ownTarget: true,
      })),
    })
  }
}

function nextKept(known: Kept | undefined, volume: Volume): Kept {
  const before: Kept = known ?? {
    ledger: NO_GRANTS,
    sizeBytes: 0,
    reason: '',
    state: VolumeState.ERROR,
  }
  const wanted = wantedVolume(volume)
  if (!wanted.ok) return { ...before, reason: wanted.why }
  if (before.ledger.deleted && !volume.deleted) {
    return { ...before, reason: `${volume.id} was deleted`, state: VolumeState.ERROR }
  }
  return volume.deleted ? ended(before, wanted.value) : granted(before, wanted.value)
}

function granted(before: Kept, wanted: WantedVolume): Kept {
  const sizeBytes = Math.max(wanted.sizeBytes, before.sizeBytes)
  const { ledger, refused } = nextLedger(before.ledger, wanted)
  const [old] = refused
  const reason = old === undefined ? '' : `generation ${old.generation} is past`
  return { ledger, sizeBytes, reason, state: VolumeState.READY }
}

function ended(before: Kept, { id, grants }: WantedVolume): Kept {
  const [first] = grants
  if (first !== undefined && !before.ledger.deleted) {
    return { ...before, reason: `${id} is to be deleted and is granted to ${first.attachment}` }
  }
  const ledger: Ledger = { ...before.ledger, inForce: [], deleted: true }
  return { ledger, sizeBytes: 0, reason: '', state: VolumeState.DELETED }
}

/** Why a real guest could not have it. */
function troubleOf(one: VolumeAttachment): string {
  const { volumeId, portal, targetIqn, chapUser, chapSecret, serial } = one
  if (portal === '') return `${volumeId} is served nowhere`
  if (!targetIqn.endsWith(`:${volumeId}`)) return `${targetIqn} is not the target of ${volumeId}`
  if (chapUser === '' || chapSecret === '') return `${volumeId} has no CHAP user or secret`
  return /^vol[0-9a-f]{8,17}$/.test(serial) ? '' : `${serial} is no serial number`
}
