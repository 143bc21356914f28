// Describe…Attributes and Modify…Attributes of load balancers, target groups and listeners.

import type { LoadBalancingHandlers } from '../aws/handlers.ts'
import { named, oneInStore } from './arns.ts'
import { changedAttributes, shownAttributes } from './attributes.ts'
import type { Kind } from './errors.ts'
import type { BalancingParts } from './parts.ts'

type Handlers = Required<
  Pick<
    LoadBalancingHandlers,
    | 'DescribeLoadBalancerAttributes'
    | 'DescribeTargetGroupAttributes'
    | 'DescribeListenerAttributes'
    | 'ModifyLoadBalancerAttributes'
    | 'ModifyTargetGroupAttributes'
    | 'ModifyListenerAttributes'
  >
>

interface Asked {
  readonly kind: Kind
  readonly account: string
  readonly arn: string | undefined
}

type Attributes = { Key: string; Value: string }[]

export function attributeHandlers({ state, region }: BalancingParts): Handlers {
  async function describe({ kind, account, arn = '' }: Asked): Promise<Attributes> {
    const [record] = named(await state.fresh(), region, account, kind, [arn])
    if (record === undefined) throw new RangeError(`${arn} was found and is not there`)
    return shownAttributes(kind, record)
  }

  async function modify(
    { kind, account, arn = '' }: Asked,
    list: Parameters<typeof changedAttributes>[2] = [],
  ): Promise<Attributes> {
    return await state.update(async (tx) => {
      const record = await oneInStore(tx, region, account, kind, arn)
      const next = { ...record, attributes: changedAttributes(kind, record, list) }
      await tx.put(kind, [record.id], next)
      return shownAttributes(kind, next)
    })
  }

  const balancer = (account: string, arn: string | undefined): Asked => {
    return { kind: 'load-balancer', account, arn }
  }
  const group = (account: string, arn: string | undefined): Asked => {
    return { kind: 'target-group', account, arn }
  }
  const listener = (account: string, arn: string | undefined): Asked => {
    return { kind: 'listener', account, arn }
  }
  return {
    DescribeLoadBalancerAttributes: async ({ caller }, { LoadBalancerArn: arn }) => ({
      Attributes: await describe(balancer(caller.account, arn)),
    }),
    DescribeTargetGroupAttributes: async ({ caller }, { TargetGroupArn: arn }) => ({
      Attributes: await describe(group(caller.account, arn)),
    }),
    DescribeListenerAttributes: async ({ caller }, { ListenerArn: arn }) => ({
      Attributes: await describe(listener(caller.account, arn)),
    }),
    ModifyLoadBalancerAttributes: async ({ caller }, { LoadBalancerArn: arn, Attributes }) => ({
      Attributes: await modify(balancer(caller.account, arn), Attributes),
    }),
    ModifyTargetGroupAttributes: async ({ caller }, { TargetGroupArn: arn, Attributes }) => ({
      Attributes: await modify(group(caller.account, arn), Attributes),
    }),
    ModifyListenerAttributes: async ({ caller }, { ListenerArn: arn, Attributes }) => ({
      Attributes: await modify(listener(caller.account, arn), Attributes),
    }),
  }
}
