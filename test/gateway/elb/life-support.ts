// A load balancer over both racks, and what their hosts say of it.

import type { TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { BalancerLifeParts } from '../../../gateway/control/balancer-life.ts'
import { recordReport } from '../../../gateway/federation/reports.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import type { State } from '../../../gateway/store/state.ts'
import { TargetStatusSchema } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { type Status, StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { START_MS } from '../ec2/support.ts'
import { type Ground, makeGroup, openGround, running } from './support.ts'

/** What life needs, at a gateway that has run for an hour. */
export function partsOf(state: State, sessions = new Sessions()): BalancerLifeParts {
  return { state, sessions, startedAtMs: START_MS - 3_600_000, leaseMs: 15_000, log: silentLog }
}

/** What the rack's CC reports. */
export async function tell(state: State, rack: string, statuses: readonly Status[]): Promise<void> {
  const parts = { state, clock: systemClock, log: silentLog }
  await recordReport(parts, { rack, host: `${rack}0` }, statuses)
}

/** A load balancer with a node in each rack. */
export async function both(t: TestContext): Promise<Ground> {
  const ground = await openGround(t)
  const { subnetIn, create: make } = ground
  await make({ Subnets: [subnetIn('a'), subnetIn('b')], Scheme: 'internal' })
  return ground
}

export interface Watched extends Ground {
  readonly instance: string
  readonly group: string
  readonly health: () => Promise<(string | undefined)[]>
  readonly sees: (rack: string, fields: object) => Promise<void>
}

/** A load balancer in both racks that uses an instance in rack a. */
export async function watched(t: TestContext): Promise<Watched> {
  const ground = await both(t)
  const { cloud, elb } = ground
  const group = await makeGroup(cloud)
  const { LoadBalancers } = await elb('DescribeLoadBalancers', {})
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn: group }]
  const LoadBalancerArn = LoadBalancers?.[0]?.LoadBalancerArn ?? ''
  await elb('CreateListener', { LoadBalancerArn, Protocol: 'TCP', Port: 80, DefaultActions })
  await elb('ModifyLoadBalancerAttributes', {
    LoadBalancerArn,
    Attributes: [{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }],
  })
  const instance = await running(cloud, 'a')
  await elb('RegisterTargets', { TargetGroupArn: group, Targets: [{ Id: instance }] })
  const { ipv4: address = '' } = cloud.state.view().by('interface', 'instance', instance)[0] ?? {}
  return {
    ...{ ...ground, instance, group },
    health: async () => {
      const { TargetHealthDescriptions: all } = await elb('DescribeTargetHealth', {
        TargetGroupArn: group,
      })
      const { State, Reason, Description } = all?.[0]?.TargetHealth ?? {}
      return [State, Reason, Description].filter((one) => one !== undefined)
    },
    sees: async (rack, fields) => {
      const [node] = cloud.state.view().by('balancer-node', 'rack', rack)
      const key = { targetGroupId: group.slice(-16), address, port: 80 }
      const interfaceId = node?.interface ?? ''
      const value = create(TargetStatusSchema, { ...key, interfaceId, ...fields })
      const status = { key: `target/${interfaceId}`, body: { case: 'target', value } } as const
      await tell(cloud.state, rack, [create(StatusSchema, status)])
    },
  }
}
