// CPU credits of burstable instances. No processor is throttled here: they are all `unlimited`.

import type { UnsuccessfulInstanceCreditSpecificationItem } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInView } from './ids.ts'
import { badValue, endDryRun, required, unsupported } from './input.ts'
import { isBurstable } from './instance-settings.ts'
import { pageOf } from './paging.ts'

type CreditHandlers = Required<
  Pick<Ec2Handlers, 'DescribeInstanceCreditSpecifications' | 'ModifyInstanceCreditSpecification'>
>
type Unsuccessful = UnsuccessfulInstanceCreditSpecificationItem
type ErrorCode = NonNullable<Unsuccessful['Error']>['Code']

const FILTERS: Filterable<InstanceRecord> = { fields: { 'instance-id': ({ id }) => id } }

export function instanceCreditHandlers({ state }: { state: State }): CreditHandlers {
  return {
    DescribeInstanceCreditSpecifications: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const ids = input.InstanceIds ?? []
      const named = ids.length === 0 ? null : namedInView(view, 'instance', ids, account)
      const other = named?.find(({ type }) => !isBurstable(type))
      if (other !== undefined) {
        throw unsupported(`A CPU credit option of '${other.id}', of type ${other.type},`)
      }
      endDryRun(input)
      const all = named ?? view.instancesOf('account', account).filter(hasCredits)
      const found = matching(all, input.Filters, FILTERS)
      const action = 'DescribeInstanceCreditSpecifications'
      const { items, nextToken } = pageOf(context, action, input, found, ({ id }) => id)
      return {
        InstanceCreditSpecifications: items.map(({ id }) => ({
          InstanceId: id,
          CpuCredits: 'unlimited',
        })),
        NextToken: nextToken,
      }
    },

    ModifyInstanceCreditSpecification: async ({ caller }, input) => {
      const asked = required('InstanceCreditSpecification', input.InstanceCreditSpecifications)
      const view = await state.fresh()
      const fine: string[] = []
      const failed: Unsuccessful[] = []
      for (const { InstanceId, CpuCredits } of asked) {
        const id = required('InstanceCreditSpecification.InstanceId', InstanceId)
        const credits = required('InstanceCreditSpecification.CpuCredits', CpuCredits)
        if (credits !== 'standard' && credits !== 'unlimited') {
          throw badValue('cpuCredits', credits, 'Expecting standard or unlimited.')
        }
        const why = refusalOf(() => namedInView(view, 'instance', [id], caller.account), credits)
        if (why === null) fine.push(id)
        else failed.push({ InstanceId: id, Error: why })
      }
      endDryRun(input)
      return {
        SuccessfulInstanceCreditSpecifications: fine.map((InstanceId) => ({ InstanceId })),
        UnsuccessfulInstanceCreditSpecifications: failed,
      }
    },
  }
}

function hasCredits({ type, state }: InstanceRecord): boolean {
  return isBurstable(type) && state !== 'terminated'
}

/** One that cannot be changed does not keep the others from it. */
function refusalOf(
  find: () => readonly InstanceRecord[],
  credits: string,
): NonNullable<Unsuccessful['Error']> | null {
  try {
    const [record] = find()
    if (record?.state === 'terminated') {
      return {
        Code: 'IncorrectInstanceState',
        Message: `The instance '${record.id}' is terminated`,
      }
    }
    if (record !== undefined && isBurstable(record.type) && credits === 'unlimited') return null
    const what = record?.type ?? 'the instance'
    return {
      Code: 'InstanceCreditSpecification.NotSupported',
      Message: `${what} cannot have the credit option ${credits} in this cloud`,
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { Code: error.code as ErrorCode, Message: error.message }
  }
}
