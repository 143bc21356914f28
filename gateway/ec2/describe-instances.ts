// DescribeInstances, and which instances a request is about.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { matcher } from './filters.ts'
import { namedInView } from './ids.ts'
import { endDryRun } from './input.ts'
import { INSTANCE_FILTERS, type ShownInstance } from './instance-filters.ts'
import { reservationsOf, shownOf } from './instance-shape.ts'
import { type PageRequest, pageOfShown } from './paging.ts'

type DescribeHandlers = Required<Pick<Ec2Handlers, 'DescribeInstances'>>

export function describeInstanceHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): DescribeHandlers {
  return {
    DescribeInstances: async (context, input) => {
      const view = await state.fresh()
      const records = recordsAsked(view, context.caller.account, input)
      endDryRun(input)
      const isAsked = matcher<ShownInstance>(input.Filters, INSTANCE_FILTERS)
      const show = (record: InstanceRecord): ShownInstance | null => {
        const shown = shownOf(view, region, record)
        return isAsked(shown) ? shown : null
      }
      const by = { cursorOf, show }
      const { items, nextToken } = pageOfShown(context, 'DescribeInstances', input, records, by)
      return { Reservations: reservationsOf(items), NextToken: nextToken }
    },
  }
}

export function recordsAsked(
  view: View,
  account: string,
  input: PageRequest & { readonly InstanceIds?: string[] | undefined },
): readonly InstanceRecord[] {
  if (input.InstanceIds === undefined || input.InstanceIds.length === 0) {
    return view.instancesOf('account', account)
  }
  if (input.MaxResults !== undefined) {
    const text = 'The parameter instancesSet cannot be used with the parameter maxResults'
    throw new ApiError('InvalidParameterCombination', text)
  }
  return namedInView(view, 'instance', input.InstanceIds, account)
}

/** A record never changes, and pages ask for all of them again and again. */
const CURSORS = new WeakMap<InstanceRecord, string>()

/** Oldest first; the instances of a reservation stand together. */
export function cursorOf(record: InstanceRecord): string {
  const known = CURSORS.get(record)
  if (known !== undefined) return known
  const cursor = makeCursor(record)
  CURSORS.set(record, cursor)
  return cursor
}

function makeCursor(record: InstanceRecord): string {
  const launchedAt = String(record.launchedAtMs).padStart(15, '0')
  const index = String(record.launchIndex).padStart(5, '0')
  return [launchedAt, record.reservation, index, record.id].join(' ')
}
