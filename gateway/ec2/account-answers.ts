// What is the same for every account of this cloud and cannot be changed, as AWS's accounts have it
// today: long ids, no ClassicLink.

import type { IdFormat } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { State } from '../store/state.ts'
import { matching } from './filters.ts'
import { badValue, endDryRun } from './input.ts'
import { NOUNS } from './nouns.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type AnswerHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeAggregateIdFormat'
    | 'DescribeIdFormat'
    | 'DescribeVpcClassicLink'
    | 'DescribeVpcClassicLinkDnsSupport'
  >
>

/** Parts that have no record, and reservations: their ids are long as well. */
const OTHER_RESOURCES = [
  'reservation',
  'network-interface-attachment',
  'subnet-cidr-block-association',
]
const RESOURCES = [...Object.values(NOUNS).map((noun) => noun.resourceType), ...OTHER_RESOURCES]

export function accountAnswerHandlers({ state }: { state: State }): AnswerHandlers {
  return {
    DescribeIdFormat: (_context, { Resource: asked }) => {
      if (asked !== undefined && !RESOURCES.includes(asked)) {
        throw badValue('Resource', asked, `Expecting one of ${RESOURCES.join(', ')}.`)
      }
      return { Statuses: longIds().filter((one) => asked === undefined || one.Resource === asked) }
    },

    DescribeAggregateIdFormat: (_context, input) => {
      endDryRun(input)
      return { UseLongIdsAggregated: true, Statuses: longIds() }
    },

    DescribeVpcClassicLink: async ({ caller }, input) => {
      const view = await state.fresh()
      const vpcs = ownedOrNamed(view, 'vpc', input.VpcIds, caller.account)
      endDryRun(input)
      const shown = vpcs.map(({ id }) => ({
        VpcId: id,
        ClassicLinkEnabled: false,
        Tags: tagList(view, id),
      }))
      const fields = { 'is-classic-link-enabled': () => false }
      return { Vpcs: matching(shown, input.Filters, { fields, tags: (vpc) => vpc.Tags }) }
    },

    DescribeVpcClassicLinkDnsSupport: async (context, input) => {
      const view = await state.fresh()
      const vpcs = ownedOrNamed(view, 'vpc', input.VpcIds, context.caller.account)
      const action = 'DescribeVpcClassicLinkDnsSupport'
      const { items, nextToken } = pageOf(context, action, input, vpcs, ({ id }) => id)
      const shown = items.map(({ id }) => ({ VpcId: id, ClassicLinkDnsSupported: false }))
      return { Vpcs: shown, NextToken: nextToken }
    },
  }
}

function longIds(): IdFormat[] {
  return RESOURCES.map((Resource) => ({ Resource, UseLongIds: true }))
}
