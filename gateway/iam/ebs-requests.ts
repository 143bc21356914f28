// What a call to EBS direct APIs asks policies for (Service Authorization Reference, "Actions,
// resources, and condition keys for Amazon Elastic Block Store").

import { asKeys, ec2Arn, keysOf, requestTagKeys } from './ec2-keys.ts'
import { textsAt } from './ec2-members.ts'
import type { Place } from './ec2-named.ts'
import type { Ask } from './ec2-requests.ts'

const SERVICE = 'ebs'
const SNAPSHOTS = ['SnapshotId', 'FirstSnapshotId', 'SecondSnapshotId']

export function ebsAsks(place: Place, operation: string, input: object): Ask[] {
  const action = `${SERVICE}:${operation}`
  if (operation === 'StartSnapshot') return [startAsk(place, action, input)]
  return SNAPSHOTS.flatMap((member) => textsAt(input, member)).map((id) => ({
    action,
    resource: ec2Arn(place, 'snapshot', id),
    keys: keysOf(place, 'snapshot', id),
  }))
}

/** What is made has no id yet. */
function startAsk(place: Place, action: string, input: object): Ask {
  const { Tags: list = [], VolumeSize = null } = input as StartInput
  const [parent = ''] = textsAt(input, 'ParentSnapshotId')
  const [description = ''] = textsAt(input, 'Description')
  const tags = new Map(list.map(({ Key = '', Value = '' }) => [Key, Value]))
  const own = asKeys({
    'ebs:VolumeSize': VolumeSize,
    'ebs:Description': description,
    'ebs:ParentSnapshot': parent === '' ? null : ec2Arn(place, 'snapshot', parent),
  })
  const keys = new Map([...requestTagKeys(tags), ...own])
  return { action, resource: ec2Arn(place, 'snapshot', '*'), keys }
}

interface StartInput {
  readonly VolumeSize?: number
  readonly Tags?: readonly { readonly Key?: string; readonly Value?: string }[]
}
