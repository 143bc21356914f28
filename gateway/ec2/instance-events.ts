// Scheduled events of instances: their host or rack is drained, and what then happens to them.

import { createHash } from 'node:crypto'
import type { InstanceStatusEvent } from '@aws-sdk/client-ec2'
import { drainOf } from '../control/drain.ts'
import type { DrainRecord, InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'

const ID_HEX_DIGITS = 17

/** EC2 user guide, "Scheduled events for your instances". */
const EVENTS: Readonly<
  Record<DrainRecord['instances'], Pick<Required<InstanceStatusEvent>, 'Code' | 'Description'>>
> = {
  keep: {
    Code: 'system-maintenance',
    Description: 'The host of the instance is about to leave; replace the instance before',
  },
  stop: {
    Code: 'instance-stop',
    Description: 'The host of the instance is about to leave; the instance is stopped',
  },
  terminate: {
    Code: 'instance-retirement',
    Description: 'The host of the instance leaves for good; the instance is terminated',
  },
}

/** What its user is to expect; none for what has happened already. */
export function eventsOf(view: View, record: InstanceRecord): InstanceStatusEvent[] {
  const drain = drainOf(view, record)
  if (drain === null || record.desired === 'terminated') return []
  if (drain.instances === 'stop' && record.desired === 'stopped') return []
  const id = createHash('sha256').update(`${drain.id}/${record.id}`).digest('hex')
  const InstanceEventId = `instance-event-${id.slice(0, ID_HEX_DIGITS)}`
  return [{ InstanceEventId, ...EVENTS[drain.instances], NotBefore: new Date(drain.notBeforeMs) }]
}
