// DescribeAccountAttributes: the limits that this cloud has, and its default VPC.

import type { AccountAttribute } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { State, View } from '../store/state.ts'
import { endDryRun, isAsked } from './input.ts'
import { MAX_GROUPS } from './interface-groups.ts'
import { quotaOf } from './quotas.ts'

type AccountHandlers = Required<Pick<Ec2Handlers, 'DescribeAccountAttributes'>>

export function accountHandlers({ state }: { state: State }): AccountHandlers {
  return {
    DescribeAccountAttributes: async ({ caller }, input) => {
      endDryRun(input)
      const all = attributesOf(await state.fresh(), caller.account)
      const asked = all.filter(({ AttributeName: name = '' }) =>
        isAsked(input.AttributeNames, name),
      )
      return { AccountAttributes: asked }
    },
  }
}

function attributesOf(view: View, account: string): AccountAttribute[] {
  const vpc = view.all('vpc').find((one) => one.account === account && one.isDefault)
  const addresses = String(quotaOf(view, account, 'elastic-ips'))
  return [
    attribute('supported-platforms', 'VPC'),
    attribute('default-vpc', vpc?.id ?? 'none'),
    attribute('vpc-max-security-groups-per-interface', String(MAX_GROUPS)),
    attribute('max-elastic-ips', addresses),
    attribute('vpc-max-elastic-ips', addresses),
    // EC2 has it from before vCPUs were counted; an instance has one at least.
    attribute('max-instances', String(quotaOf(view, account, 'vcpus'))),
  ]
}

function attribute(AttributeName: string, AttributeValue: string): AccountAttribute {
  return { AttributeName, AttributeValues: [{ AttributeValue }] }
}
