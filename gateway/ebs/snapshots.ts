// CreateSnapshot and CreateSnapshots: points in time of volumes, of one or of all that an instance
// has. Their SCs take them (snapshot-life.ts).

import type { InstanceSpecification, TagSpecification } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { oneInStore, randomId } from '../ec2/ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from '../ec2/input.ts'
import { checkQuota, checkQuotaFor } from '../ec2/quotas.ts'
import { isSystemTag, parseTagSpecifications, type Tags, tagsOf } from '../ec2/tagging.ts'
import type { Sealer } from '../secrets.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { SnapshotRecord, VolumeRecord } from '../store/volume-records.ts'
import { checkVolume, insertSnapshot } from './new-snapshot.ts'
import { infoShown, parseDescription, snapshotShown } from './snapshot-shape.ts'
import { untilTaken } from './until-taken.ts'

type CreateHandlers = Required<Pick<Ec2Handlers, 'CreateSnapshot' | 'CreateSnapshots'>>

export interface SnapshotParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
  readonly sealer: Sealer
  /** How long an answer waits for the SC to have the moment; 0 does not wait. */
  readonly takenWithinMs?: number
}

const KNOWN_OF_ONE = new Set(['VolumeId', 'Description', 'TagSpecifications', 'DryRun'])
const KNOWN_OF_MANY = new Set([
  ...['InstanceSpecification', 'Description', 'TagSpecifications', 'DryRun'],
  'CopyTagsFromSource',
])
const KNOWN_SPECIFICATION = new Set(['InstanceId', 'ExcludeBootVolume', 'ExcludeDataVolumeIds'])
const HARMLESS = new Map([['Location', ['regional']]])

export function createSnapshotHandlers(parts: SnapshotParts): CreateHandlers {
  const { state, takenWithinMs = 0 } = parts
  return {
    CreateSnapshot: async ({ caller: { account }, nowMs }, input) => {
      const id = required('VolumeId', input.VolumeId)
      refuseUnknown(input, KNOWN_OF_ONE, HARMLESS)
      const description = parseDescription(input.Description)
      const tags = tagsAsked(input.TagSpecifications)
      const made = await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        const view = await state.fresh()
        checkVolume(view, volume)
        await checkQuota(tx, state, account, 'snapshots')
        endDryRun(input)
        const wish = { volume, description, tags, group: '', groupSize: 0 }
        return await insertSnapshot(tx, view, parts, wish, nowMs)
      })
      await untilTaken(state, [made.id], takenWithinMs)
      const view = await state.fresh()
      return snapshotShown(view, view.get('volume-snapshot', made.id) ?? made, account)
    },

    CreateSnapshots: async ({ caller: { account }, nowMs }, input) => {
      const specification = required('InstanceSpecification', input.InstanceSpecification)
      const id = required('InstanceSpecification.InstanceId', specification.InstanceId)
      refuseUnknown(input, KNOWN_OF_MANY, HARMLESS)
      refuseUnknown(specification, KNOWN_SPECIFICATION, new Map(), 'InstanceSpecification.')
      const description = parseDescription(input.Description)
      const asked = tagsAsked(input.TagSpecifications)
      const copies = input.CopyTagsFromSource === 'volume'
      const made = await state.update(async (tx) => {
        const instance = await oneInStore(tx, 'instance', id, account)
        const view = await state.fresh()
        const volumes = await volumesOf(tx, view, instance, specification)
        for (const volume of volumes) checkVolume(view, volume)
        await checkQuotaFor(tx, state, account, 'snapshots', {
          ...{ made: 0, wanted: volumes.length },
        })
        endDryRun(input)
        const group = randomId(parts.randomHex, 'group')
        const done: SnapshotRecord[] = []
        for (const volume of volumes) {
          const groupSize = volumes.filter((one) => one.host === volume.host).length
          const tags = copies ? await withVolumeTags(tx, volume, asked) : asked
          const wish = { volume, description, tags, group, groupSize }
          done.push(await insertSnapshot(tx, view, parts, wish, nowMs))
        }
        return done
      })
      await untilTaken(
        state,
        made.map((one) => one.id),
        takenWithinMs,
      )
      const view = await state.fresh()
      const shown = made.map((one) => view.get('volume-snapshot', one.id) ?? one)
      return { Snapshots: shown.map((one) => infoShown(view, one, account)) }
    },
  }
}

function tagsAsked(specifications: readonly TagSpecification[] | undefined): Tags {
  const tags = parseTagSpecifications(specifications, ['volume-snapshot'])
  return tags.get('volume-snapshot') ?? new Map()
}

/** The request's tags before the volume's. */
async function withVolumeTags(tx: Transaction, volume: VolumeRecord, asked: Tags): Promise<Tags> {
  const kept = [...tagsOf(await tx.get('tags', volume.id))].filter(([key]) => !isSystemTag(key))
  return new Map([...kept, ...asked])
}

/** What the instance has and the request does not leave out, in the order of devices. */
async function volumesOf(
  tx: Transaction,
  view: View,
  instance: InstanceRecord,
  { ExcludeBootVolume: noBoot, ExcludeDataVolumeIds: left = [] }: InstanceSpecification,
): Promise<VolumeRecord[]> {
  const found: { device: string; volume: VolumeRecord }[] = []
  for (const { id } of view.by('volume', 'instances', instance.id)) {
    const volume = await tx.get('volume', id)
    const at = volume?.attachments.find(
      (one) => one.instance === instance.id && one.state !== 'released',
    )
    if (volume !== null && at !== undefined) found.push({ device: at.device, volume })
  }
  const isBoot = ({ device }: { device: string }) => device === instance.rootDevice
  for (const id of left) {
    await oneInStore(tx, 'volume', id, instance.account)
    const one = found.find(({ volume }) => volume.id === id)
    if (one === undefined) {
      throw badValue('ExcludeDataVolumeIds', id, `It is not attached to '${instance.id}'.`)
    }
    if (isBoot(one)) {
      throw badValue('ExcludeDataVolumeIds', id, 'It is the boot volume: use ExcludeBootVolume.')
    }
  }
  const wanted = found
    .filter((one) => !(noBoot === true && isBoot(one)) && !left.includes(one.volume.id))
    .sort((a, b) => (a.device < b.device ? -1 : 1))
  if (wanted.length > 0) return wanted.map(({ volume }) => volume)
  const text = `The instance '${instance.id}' has no volume that this request does not leave out.`
  throw new ApiError('InvalidParameterCombination', text)
}
