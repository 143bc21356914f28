// CreateVolume, DeleteVolume and DescribeVolumes.

import type { Volume } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { answeredBefore, keepAnswer, parseClientToken } from '../ec2/client-tokens.ts'
import { absent, type Filterable, matcher } from '../ec2/filters.ts'
import { namedInView, oneInStore } from '../ec2/ids.ts'
import { endDryRun, refuseUnknown, required } from '../ec2/input.ts'
import { type PageRequest, pageOfShown } from '../ec2/paging.ts'
import { parseTagSpecifications } from '../ec2/tagging.ts'
import { zoneId, zoneName } from '../ec2/zones.ts'
import type { Transaction, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { newVolume, type VolumeParts } from './new-volume.ts'
import { forgetVolume } from './volume-hosts.ts'
import { volumeShown } from './volume-shape.ts'

type VolumeHandlers = Required<
  Pick<Ec2Handlers, 'CreateVolume' | 'DeleteVolume' | 'DescribeVolumes'>
>

const CREATE_KNOWN = new Set([
  ...['AvailabilityZone', 'AvailabilityZoneId', 'Size', 'SnapshotId', 'VolumeType', 'Iops'],
  ...['Throughput', 'MultiAttachEnabled', 'Encrypted', 'TagSpecifications', 'ClientToken'],
  'DryRun',
])

const FILTERABLE: Filterable<Volume> = {
  fields: {
    // No AWS service makes volumes here, and no snapshot is there faster than others.
    ...absent('operator.principal'),
    'operator.managed': () => false,
    'fast-restored': () => false,
    'attachment.attach-time': (one) => one.Attachments?.map((at) => at.AttachTime?.toISOString()),
    'attachment.delete-on-termination': (one) =>
      one.Attachments?.map((at) => at.DeleteOnTermination),
    'attachment.device': (one) => one.Attachments?.map((at) => at.Device),
    'attachment.instance-id': (one) => one.Attachments?.map((at) => at.InstanceId),
    'attachment.status': (one) => one.Attachments?.map((at) => at.State),
    'availability-zone': (one) => one.AvailabilityZone,
    'availability-zone-id': (one) => one.AvailabilityZoneId,
    'create-time': (one) => one.CreateTime?.toISOString(),
    encrypted: (one) => one.Encrypted,
    'multi-attach-enabled': (one) => one.MultiAttachEnabled,
    size: (one) => one.Size,
    'snapshot-id': (one) => one.SnapshotId,
    status: (one) => one.State,
    'volume-id': (one) => one.VolumeId,
    'volume-type': (one) => one.VolumeType,
  },
  tags: (one) => one.Tags,
}

export function volumeHandlers({
  region,
  ...parts
}: VolumeParts & { readonly region: string }): VolumeHandlers {
  const { state } = parts
  return {
    CreateVolume: async (context, input) => {
      const { account } = context.caller
      refuseUnknown(input, CREATE_KNOWN, new Map())
      const tags = parseTagSpecifications(input.TagSpecifications, ['volume'])
      const token = parseClientToken(input.ClientToken)
      const rack = rackOf(await state.fresh(), region, input)
      const use = { context, action: 'CreateVolume', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const made = await newVolume(
          { ...parts, tx, made: [] },
          {
            ...{ account, rack, clientToken: token, nowMs: context.nowMs },
            wish: {
              type: input.VolumeType,
              sizeGib: input.Size,
              iops: input.Iops,
              throughputMibps: input.Throughput,
              multiAttach: input.MultiAttachEnabled,
            },
            encrypted: input.Encrypted,
            snapshot: input.SnapshotId ?? '',
            tags: tags.get('volume') ?? new Map(),
          },
        )
        endDryRun(input)
        await keepAnswer(tx, use, made.id)
        return made.id
      })
      endDryRun(input)
      const view = await state.fresh()
      const [volume] = namedInView(view, 'volume', [id], account)
      if (volume === undefined) return {}
      const { Attachments: _, ...shown } = volumeShown(view, region, volume)
      return shown
    },

    DeleteVolume: async ({ caller: { account } }, input) => {
      const id = required('VolumeId', input.VolumeId)
      await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        checkUnattached(volume)
        endDryRun(input)
        if (volume.state !== 'deleting') await endVolume(tx, volume)
      })
      return {}
    },

    DescribeVolumes: async (context, input) => {
      const view = await state.fresh()
      const records = volumesAsked(view, context.caller.account, input)
      endDryRun(input)
      const isAsked = matcher(input.Filters, FILTERABLE)
      const show = (record: VolumeRecord): Volume | null => {
        const shown = volumeShown(view, region, record)
        return isAsked(shown) ? shown : null
      }
      const by = { cursorOf: ({ id }: VolumeRecord) => id, show }
      const { items, nextToken } = pageOfShown(context, 'DescribeVolumes', input, records, by)
      return { Volumes: [...items], NextToken: nextToken }
    },
  }
}

/** What the request names, or all that the account has. */
export function volumesAsked(
  view: View,
  account: string,
  input: PageRequest & { readonly VolumeIds?: string[] | undefined },
): readonly VolumeRecord[] {
  if (input.VolumeIds === undefined || input.VolumeIds.length === 0) {
    return view.by('volume', 'account', account)
  }
  if (input.MaxResults !== undefined) {
    const text = 'The parameter volumes cannot be used with the parameter maxResults'
    throw new ApiError('InvalidParameterCombination', text)
  }
  return namedInView(view, 'volume', input.VolumeIds, account)
}

/** Its host deletes it and says so; at once when no host has its bytes. */
async function endVolume(tx: Transaction, volume: VolumeRecord): Promise<void> {
  if (volume.host === '') await forgetVolume(tx, volume.id)
  else await tx.put('volume', [volume.id], { ...volume, state: 'deleting' })
}

function checkUnattached({ id, attachments: [first] }: VolumeRecord): void {
  if (first === undefined) return
  const text = `Volume ${id} is currently attached to ${first.instance}`
  throw new ApiError('VolumeInUse', text)
}

function rackOf(
  view: View,
  region: string,
  input: { AvailabilityZone?: string | undefined; AvailabilityZoneId?: string | undefined },
): string {
  const { AvailabilityZone: name, AvailabilityZoneId: id } = input
  if (name !== undefined && id !== undefined) {
    const text =
      'The parameter AvailabilityZone cannot be used with the parameter AvailabilityZoneId'
    throw new ApiError('InvalidParameterCombination', text)
  }
  const asked = required('AvailabilityZone', name ?? id)
  const racks = view.all('rack')
  const rack = racks.find((one) =>
    id === undefined ? zoneName(region, one.name) === name : zoneId(region, one) === id,
  )
  if (rack !== undefined) return rack.name
  throw new ApiError('InvalidZone.NotFound', `The zone '${asked.slice(0, 255)}' does not exist.`)
}
