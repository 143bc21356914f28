// The load balancing of a cloud whose hosts are only records, called as the endpoint calls it.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type {
  CallContext,
  LoadBalancingHandlers,
  LoadBalancingInputs,
  LoadBalancingOutputs,
} from '../../../gateway/aws/handlers.ts'
import { loadBalancingHandlers } from '../../../gateway/elb/index.ts'
import type { State } from '../../../gateway/store/state.ts'
import { addPublicPool } from '../ec2/network-support.ts'
import {
  ACCOUNT,
  type Cloud,
  openCloud,
  REGION,
  registerImage,
  report,
  run,
  START_MS,
} from '../ec2/support.ts'

/** A cloud that can be asked for load balancers. */
export interface Ground {
  readonly cloud: Cloud
  readonly elb: Balancing
  readonly vpc: string
  readonly subnetIn: (rack: string) => string
  readonly create: (more?: Partial<LoadBalancingInputs['CreateLoadBalancer']>) => Promise<string>
}

export async function openGround(t: TestContext): Promise<Ground> {
  const cloud = await openCloud(t)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/28' })
  const elb = balancingOf(cloud)
  const { vpc, subnetIn } = defaultNetwork(cloud)
  return {
    ...{ cloud, elb, vpc, subnetIn },
    create: async (more = {}) => {
      const where = more.SubnetMappings === undefined && { Subnets: [subnetIn('a')] }
      const asked = { Name: 'web', Type: 'network' as const, ...where, ...more }
      const { LoadBalancers } = await elb('CreateLoadBalancer', asked)
      return LoadBalancers?.[0]?.LoadBalancerArn ?? ''
    },
  }
}

export type Balancing = <K extends keyof LoadBalancingHandlers & keyof LoadBalancingInputs>(
  action: K,
  input: LoadBalancingInputs[K],
  as?: { account?: string; nowMs?: number },
) => Promise<LoadBalancingOutputs[K]>

export function balancingOf({ state }: { readonly state: State }): Balancing {
  const handlers = loadBalancingHandlers({ state, randomHex, region: REGION })
  return (async (action, input, { account = ACCOUNT, nowMs = START_MS } = {}) => {
    const handler = handlers[action] as
      | ((context: CallContext, input: unknown) => unknown)
      | undefined
    assert.ok(handler, `${action} has a handler`)
    const parameters = new Map(Object.entries(input as object).map(([k, v]) => [k, String(v)]))
    const userArn = `arn:aws:iam::${account}:root`
    const caller = { account, userArn, userId: account, accessKeyId: 'AKIAAAAAAAAAAAAAAAAA' }
    const requestId = '00000000-0000-4000-8000-000000000000'
    return await handler({ caller, requestId, nowMs, log: silentLog, parameters }, input)
  }) as Balancing
}

/** The account's default VPC, and its subnets by rack. */
export function defaultNetwork(cloud: Cloud): {
  vpc: string
  subnetIn: (rack: string) => string
} {
  const view = cloud.state.view()
  const vpc = view.by('vpc', 'account', ACCOUNT).find((one) => one.isDefault)?.id ?? ''
  const subnets = view.subnetsOf('vpc', vpc)
  return { vpc, subnetIn: (rack) => subnets.find((one) => one.rack === rack)?.id ?? '' }
}

/** An instance of a rack that runs. */
export async function running(cloud: Cloud, rack: string, image?: string): Promise<string> {
  const ImageId = image ?? (await registerImage(cloud, `debian-${rack}`))
  const SubnetId = defaultNetwork(cloud).subnetIn(rack)
  const [id = ''] = await run(cloud, { ImageId, SubnetId })
  await report(cloud.state, id, 'running')
  return id
}

/** A target group of the default VPC, by its ARN. */
export async function makeGroup(
  cloud: Cloud,
  more: Partial<LoadBalancingInputs['CreateTargetGroup']> = {},
): Promise<string> {
  const VpcId = defaultNetwork(cloud).vpc
  const wish = { Name: 'web', Protocol: 'TCP' as const, Port: 80, VpcId, ...more }
  const { TargetGroups } = await balancingOf(cloud)('CreateTargetGroup', wish)
  return TargetGroups?.[0]?.TargetGroupArn ?? ''
}
