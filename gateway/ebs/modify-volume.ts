// ModifyVolume and DescribeVolumesModifications: a volume grows, or becomes another class, while it
// is in use.

import type { VolumeModification } from '@aws-sdk/client-ec2'
import { storedBytes } from '../../common/volume-sizes.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { type Filterable, matching } from '../ec2/filters.ts'
import { oneInStore } from '../ec2/ids.ts'
import { endDryRun, required } from '../ec2/input.ts'
import { pageOf } from '../ec2/paging.ts'
import { checkQuotaFor } from '../ec2/quotas.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeRecord, VolumeShape } from '../store/volume-records.ts'
import { type Running, withModification } from './modification-life.ts'
import { chooseVolumePlace, noPlace, volumePlaces } from './volume-places.ts'
import { shapeOf } from './volume-types.ts'
import { volumesAsked } from './volumes.ts'

type ModifyHandlers = Required<Pick<Ec2Handlers, 'ModifyVolume' | 'DescribeVolumesModifications'>>
type Wish = Ec2Inputs['ModifyVolume']

const HOUR_MS = 3_600_000
/** Modifications of a page (EC2 API reference, DescribeVolumesModifications). */
const MAX_RESULTS = 500

const FILTERABLE: Filterable<VolumeModification> = {
  fields: {
    'modification-state': (one) => one.ModificationState,
    'original-iops': (one) => one.OriginalIops,
    'original-size': (one) => one.OriginalSize,
    'original-volume-type': (one) => one.OriginalVolumeType,
    originalMultiAttachEnabled: (one) => one.OriginalMultiAttachEnabled,
    'start-time': (one) => one.StartTime?.toISOString(),
    'target-iops': (one) => one.TargetIops,
    'target-size': (one) => one.TargetSize,
    'target-volume-type': (one) => one.TargetVolumeType,
    targetMultiAttachEnabled: (one) => one.TargetMultiAttachEnabled,
    'volume-id': (one) => one.VolumeId,
  },
}

/** `waitMs`: how long a volume stays as it is after a modification, from that one's beginning. */
export function modifyVolumeHandlers({
  state,
  overcommit,
  waitMs,
}: {
  readonly state: State
  readonly overcommit?: number | undefined
  readonly waitMs: number
}): ModifyHandlers {
  return {
    ModifyVolume: async ({ caller: { account }, nowMs }, input) => {
      const id = required('VolumeId', input.VolumeId)
      const modified = await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        const target = targetOf(volume, input)
        checkMayChange(volume, target, waitMs, nowMs)
        const wanted = target.sizeGib - volume.sizeGib
        if (wanted > 0) {
          await checkQuotaFor(tx, state, account, 'volume-gib', { made: 0, wanted })
          checkRoom(await state.fresh(), volume, target, overcommit)
        }
        endDryRun(input)
        const next = withModification(volume, target, await runningOf(tx, volume), nowMs)
        await tx.put('volume', [id], next)
        return next
      })
      return { VolumeModification: modificationShown(modified) ?? undefined }
    },

    DescribeVolumesModifications: async (context, input) => {
      const records = volumesAsked(await state.fresh(), context.caller.account, input)
      endDryRun(input)
      const shown = records.map(modificationShown).filter((one) => one !== null)
      checkModified(input, shown)
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = ({ VolumeId: id = '' }: VolumeModification): string => id
      const action = 'DescribeVolumesModifications'
      const page = pageOf(context, action, input, found, cursor, MAX_RESULTS, 1)
      return { VolumesModifications: [...page.items], NextToken: page.nextToken }
    },
  }
}

/** What is not said stays, or is as usual for the new type. */
function targetOf(volume: VolumeRecord, wish: Wish): VolumeShape {
  const { Size, VolumeType, Iops, Throughput, MultiAttachEnabled } = wish
  if ([Size, VolumeType, Iops, Throughput, MultiAttachEnabled].every((one) => one === undefined)) {
    const names = 'size, volumeType, iops, throughput or multiAttachEnabled'
    throw new ApiError('MissingParameter', `The request must contain the parameter ${names}`)
  }
  const { VolumeType: type = volume.type, Size: sizeGib = volume.sizeGib } = wish
  const isSameType = type === volume.type
  // Of gp2 they follow its size.
  const own = isSameType && type !== 'gp2' ? volume : null
  const provisioned = type === 'io1' || type === 'io2' ? 3_000 : undefined
  return shapeOf({
    ...{ type, sizeGib },
    iops: wish.Iops ?? own?.iops ?? provisioned,
    throughputMibps: wish.Throughput ?? own?.throughputMibps ?? undefined,
    multiAttach: wish.MultiAttachEnabled ?? volume.multiAttach,
  })
}

function checkMayChange(
  volume: VolumeRecord,
  target: VolumeShape,
  waitMs: number,
  nowMs: number,
): void {
  const { id, state, modification, attachments } = volume
  if (state !== 'ready') {
    throw new ApiError('IncorrectState', `Volume ${id} cannot be modified in state ${state}`)
  }
  if (target.sizeGib < volume.sizeGib) {
    const text = `New size cannot be smaller than existing size ${volume.sizeGib}GiB`
    throw new ApiError('InvalidParameterValue', text)
  }
  if (target.multiAttach !== volume.multiAttach && attachments.length > 0) {
    const text = `Volume ${id} is attached: MultiAttachEnabled can be changed when it is not`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (modification === undefined) return
  if (modification.state === 'modifying' || modification.state === 'optimizing') {
    const word = modification.state.toUpperCase()
    const text = `Volume ${id} cannot be modified in modification state ${word}`
    throw new ApiError('IncorrectModificationState', text)
  }
  if (nowMs - modification.startedAtMs >= waitMs) return
  const hours = Number((waitMs / HOUR_MS).toFixed(2))
  const text =
    `You've reached the maximum modification rate per volume limit. Wait at least ${hours} ` +
    'hours between modifications per EBS volume.'
  throw new ApiError('VolumeModificationRateExceeded', text)
}

/** It stays where it is. Two that grow at once are not told of each other: the bound is soft. */
function checkRoom(
  view: View,
  volume: VolumeRecord,
  { sizeGib }: VolumeShape,
  overcommit: number | undefined,
): void {
  const own = volumePlaces(view, volume.rack).filter(({ host }) => host === volume.host)
  // Its host may be cordoned or away: nothing new comes there.
  const places = own.map((place) => ({ ...place, why: '' }))
  const more = sizeGib - volume.sizeGib
  const chosen = chooseVolumePlace(places, storedBytes(more, false), overcommit)
  if ('reasons' in chosen) throw noPlace(more, chosen.reasons)
}

async function runningOf(tx: Transaction, { instances }: VolumeRecord): Promise<Running> {
  const found = new Map<string, 'runs' | 'stopped'>()
  for (const id of instances) {
    const state = (await tx.get('instance', id))?.state ?? 'terminated'
    found.set(id, state === 'stopped' || state === 'terminated' ? 'stopped' : 'runs')
  }
  return found
}

/** What a request names has been modified; else all that were are shown. */
function checkModified(
  { VolumeIds: asked = [] }: { VolumeIds?: string[] | undefined },
  shown: readonly VolumeModification[],
): void {
  const never = asked.find((id) => !shown.some(({ VolumeId }) => VolumeId === id))
  if (never === undefined) return
  const text = `Modification for volume '${never}' does not exist.`
  throw new ApiError('InvalidVolumeModification.NotFound', text)
}

function modificationShown(volume: VolumeRecord): VolumeModification | null {
  const { id, modification, stateReason } = volume
  if (modification === undefined) return null
  const { state, original, target, reason, startedAtMs, endedAtMs } = modification
  const isOver = endedAtMs !== null
  return {
    VolumeId: id,
    ModificationState: state,
    StatusMessage: reason ?? (isOver ? undefined : stateReason),
    OriginalSize: original.sizeGib,
    OriginalVolumeType: original.type,
    OriginalIops: original.iops ?? undefined,
    OriginalThroughput: original.throughputMibps ?? undefined,
    OriginalMultiAttachEnabled: original.multiAttach,
    TargetSize: target.sizeGib,
    TargetVolumeType: target.type,
    TargetIops: target.iops ?? undefined,
    TargetThroughput: target.throughputMibps ?? undefined,
    TargetMultiAttachEnabled: target.multiAttach,
    Progress: state === 'completed' ? 100 : state === 'optimizing' ? 50 : 0,
    StartTime: new Date(startedAtMs),
    EndTime: endedAtMs === null ? undefined : new Date(endedAtMs),
  }
}
