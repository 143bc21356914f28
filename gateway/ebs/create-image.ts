// CreateImage: an image of an instance that boots from a volume, of snapshots of all its volumes of
// one moment. A guest that runs is stopped for that moment in an orderly way, unless the request
// says NoReboot (imaging.ts).

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { oneInStore } from '../ec2/ids.ts'
import { checkImageName, insertImage, parseImageDescription } from '../ec2/images.ts'
import { badValue, refuseUnknown, required } from '../ec2/input.ts'
import { parseTagSpecifications } from '../ec2/tagging.ts'
import type { Sealer } from '../secrets.ts'
import type { ImageDevice } from '../store/image-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { deviceKey } from './device-names.ts'
import { STOP_MS, takeImage } from './imaging.ts'
import { devicesFor } from './mapped-devices.ts'
import { badMapping, type DeviceWish, parseMappings } from './mappings.ts'
import { ownOf, volumesIn } from './moving.ts'
import { checkVolume } from './new-snapshot.ts'
import { imageOfVolumes } from './snapshot-image.ts'
import { untilTaken } from './until-taken.ts'

export interface CreateImageParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
  /** How long an answer waits for the moment of a guest that runs on; 0 does not wait. */
  readonly takenWithinMs?: number
}

const KNOWN = new Set([
  ...['InstanceId', 'Name', 'Description', 'NoReboot', 'BlockDeviceMappings'],
  ...['TagSpecifications', 'DryRun'],
])
const HARMLESS = new Map([['SnapshotLocation', ['regional']]])
/** Types whose IOPS and throughput one chooses. */
const CHOSEN = new Set(['gp3', 'io1', 'io2'])

export function createImageHandler(
  parts: CreateImageParts,
): Required<Pick<Ec2Handlers, 'CreateImage'>> {
  const { state, takenWithinMs = 0 } = parts
  return {
    CreateImage: async ({ caller: { account }, nowMs }, input) => {
      const instanceId = required('InstanceId', input.InstanceId)
      const name = required('Name', input.Name)
      refuseUnknown(input, KNOWN, HARMLESS)
      checkImageName(name)
      const description = parseImageDescription(input.Description ?? '')
      const wishes = parseMappings(input.BlockDeviceMappings)
      const tags = parseTagSpecifications(input.TagSpecifications, ['image', 'volume-snapshot'])
      const { id, snapshots } = await state.update(async (tx) => {
        const instance = await oneInStore(tx, 'instance', instanceId, account)
        const found = await volumesOf(tx, state, instance)
        const devices = await devicesOf(tx, instance, found, wishes)
        const kept = found.filter(({ device }) => devices.some((one) => one.device === device))
        const root = devices.find(({ device }) => device === instance.rootDevice)
        const made = await insertImage(
          tx,
          parts,
          input,
          {
            ...{ account, name, description, createdAtMs: nowMs, location: `${account}/${name}` },
            ...imageOfVolumes(devices, root?.device ?? '', root?.volume?.sizeGib ?? 0),
            sourceInstance: instanceId,
            ...(instance.kernel !== undefined && { kernel: instance.kernel }),
            ...(instance.ramdisk !== undefined && { ramdisk: instance.ramdisk }),
            making: {
              instance: instanceId,
              volumes: kept.map(({ device, volume }) => ({ device, volume: volume.id })),
              snapshotTags: Object.fromEntries(tags.get('volume-snapshot') ?? []),
            },
          },
          tags.get('image') ?? new Map(),
        )
        if (input.NoReboot !== true && instance.state === 'running') {
          const imaging = { image: made, phase: 'stopping', untilMs: nowMs + STOP_MS } as const
          await tx.put('instance', [instanceId], { ...instance, imaging })
          return { id: made, snapshots: [] }
        }
        return { id: made, snapshots: await takeImage(tx, parts, made, nowMs) }
      })
      await untilTaken(state, snapshots, takenWithinMs)
      return { ImageId: id }
    },
  }
}

interface Mapped {
  readonly device: string
  readonly volume: VolumeRecord
  readonly deleteOnTermination: boolean
}

/** All that the instance has, by device. Throws what AWS answers when no image can be made. */
async function volumesOf(
  tx: Transaction,
  state: State,
  instance: InstanceRecord,
): Promise<Mapped[]> {
  const { id, rootDevice, imaging } = instance
  if (rootDevice === undefined) {
    const why = 'Its root device is on its host: bundle its disk, and register that.'
    throw badValue('instanceId', id, why)
  }
  if (imaging !== undefined || (instance.state !== 'running' && instance.state !== 'stopped')) {
    const what = imaging === undefined ? instance.state : `stopped for ${imaging.image}`
    throw new ApiError(
      'IncorrectState',
      `The instance '${id}' is not 'running' or 'stopped': ${what}`,
    )
  }
  const found = (await volumesIn(tx, state, id)).flatMap((volume) =>
    ownOf(volume, id).map(({ device, deleteOnTermination }) => ({
      ...{ device, volume, deleteOnTermination },
    })),
  )
  if (!found.some(({ device }) => device === rootDevice)) {
    throw new ApiError('IncorrectState', `The instance '${id}' has no volume at ${rootDevice}`)
  }
  const view = await state.fresh()
  for (const { volume } of found) checkVolume(view, volume)
  const rank = ({ device }: Mapped) => `${device === rootDevice ? 0 : 1}${device}`
  return found.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
}

/** The image's devices, before there are snapshots. */
async function devicesOf(
  tx: Transaction,
  { account, rootDevice, ephemeral = [] }: InstanceRecord,
  volumes: readonly Mapped[],
  wishes: readonly DeviceWish[],
): Promise<ImageDevice[]> {
  for (const wish of wishes) {
    const known = volumes.find(({ device }) => deviceKey(device) === deviceKey(wish.device))
    if (known !== undefined) checkChange(known, wish)
  }
  const devices = [
    ...volumes.map(deviceOf),
    ...ephemeral.map(({ device }, i) => ({ device, ephemeral: i, volume: null })),
  ]
  const image = rootDevice === undefined ? { devices } : { devices, rootDevice }
  return await devicesFor({ tx, account }, image, wishes)
}

function deviceOf({ device, volume, deleteOnTermination }: Mapped): ImageDevice {
  const { sizeGib, type, iops, throughputMibps, encrypted } = volume
  return {
    ...{ device, ephemeral: null },
    volume: {
      ...{ snapshot: '', sizeGib, type, encrypted, deleteOnTermination },
      iops: CHOSEN.has(type) ? iops : null,
      throughputMibps: CHOSEN.has(type) ? throughputMibps : null,
    },
  }
}

/** A volume of the instance is in the image as it is, or larger, of another type, or not at all. */
function checkChange({ device, volume }: Mapped, { what, volume: wish }: DeviceWish): void {
  if (what === 'none') return
  if (what === 'ephemeral' || wish.snapshot !== undefined || wish.encrypted !== undefined) {
    throw badMapping(`'${device}' has the volume ${volume.id}: it can only be left out or changed`)
  }
  if (wish.sizeGib === undefined || wish.sizeGib >= volume.sizeGib) return
  const text = `Volume of size ${wish.sizeGib}GB is smaller than ${volume.id} at '${device}'`
  throw badMapping(`${text}, expect size >= ${volume.sizeGib}GB`)
}
