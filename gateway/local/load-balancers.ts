// Load balancers of all accounts for operators: where their nodes are, and how those are.

import type { FastifyInstance } from 'fastify'
import { racksUsing, usageOf } from '../elb/usage.ts'
import type { BalancerNodeRecord, TargetRecord } from '../store/balancer-records.ts'
import type { State, View } from '../store/state.ts'
import { route } from './route.ts'
import {
  accountParam,
  flag,
  integer,
  list,
  named,
  object,
  oneOf,
  rackParam,
  type Typed,
  text,
} from './schema.ts'

const MAX_BALANCERS = 100_000
const MAX_NODES = 10_000

const NODE = named(
  'BalancerNode',
  object({
    interface: text({ description: 'Its network interface' }),
    rack: rackParam,
    host: text({ description: 'Empty while no host takes it' }),
    address: text({ description: 'Its private IPv4 address' }),
    serving: flag('The host where it is says that it serves'),
    trouble: text({ description: 'What that host says is in the way; empty when nothing' }),
    targets: integer({ minimum: 0, description: 'Those that it uses' }),
    healthy: integer({ minimum: 0, description: 'Those of them that it finds healthy' }),
  }),
)
const BALANCER = named(
  'LoadBalancer',
  object({
    account: accountParam,
    name: text({}),
    id: text({ description: 'The last part of its ARN' }),
    state: oneOf('provisioning', 'active', 'active_impaired', 'failed'),
    reason: text({ description: 'Why it is impaired or failed; else empty' }),
    nodes: list(NODE, { maxItems: MAX_NODES }),
  }),
)
export type LoadBalancerShown = Typed<typeof BALANCER>

const EXAMPLE: LoadBalancerShown = {
  ...{ account: '111122223333', name: 'web', id: '0123456789abcdef', state: 'active', reason: '' },
  nodes: [
    {
      ...{ interface: 'eni-0123456789abcdef0', rack: 'a', host: 'a-nc-1', address: '10.0.0.9' },
      ...{ serving: true, trouble: '', targets: 2, healthy: 2 },
    },
  ],
}

export function addLoadBalancerRoutes(
  app: FastifyInstance,
  { state }: { readonly state: State },
): void {
  route(
    app,
    {
      id: 'listLoadBalancers',
      summary: 'Load balancers of all accounts, and where their nodes are',
      method: 'GET',
      path: '/v1/load-balancers',
      answer: object({ loadBalancers: list(BALANCER, { maxItems: MAX_BALANCERS }) }),
      example: { loadBalancers: [EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { loadBalancers: view.all('load-balancer').map((one) => shown(view, one.id)) }
    },
  )
}

function shown(view: View, balancer: string): LoadBalancerShown {
  const one = view.get('load-balancer', balancer)
  if (one === null) throw new RangeError(`${balancer} was found and is not there`)
  const { account, name, id, state, reason } = one
  const nodes = one.interfaces.flatMap((card) => {
    const node = view.get('balancer-node', card)
    return node === null ? [] : [nodeOf(view, node)]
  })
  return { account, name, id, state, reason, nodes }
}

function nodeOf(view: View, node: BalancerNodeRecord): LoadBalancerShown['nodes'][number] {
  const { interface: id, rack, report } = node
  const card = view.get('interface', id)
  const host = card?.host ?? ''
  const isHeard = report !== null && host !== '' && report.host === host
  const targets = targetsOf(view, node)
  const healthy = targets.filter(({ group, address, port }) => {
    const status = view.get('target-status', id, group, address, String(port))
    return status?.state === 'healthy' && status.host === host
  })
  return {
    ...{ interface: id, rack, host, address: card?.ipv4 ?? '' },
    serving: isHeard && report.serving,
    trouble: isHeard ? report.trouble : '',
    targets: targets.length,
    healthy: healthy.length,
  }
}

/** Those that the node gets to use, and that are not about to go. */
function targetsOf(view: View, { loadBalancer, rack }: BalancerNodeRecord): TargetRecord[] {
  const listeners = view.by('listener', 'loadBalancer', loadBalancer)
  const groups = [...new Set(listeners.map((one) => one.targetGroup))]
  return groups.flatMap((id) => {
    const group = view.get('target-group', id)
    const usage = usageOf(view, id)
    if (group === null || usage === null) return []
    return view
      .by('target', 'group', id)
      .filter((one) => one.drainingUntilMs === null)
      .filter((one) => racksUsing(usage, group, one).includes(rack))
  })
}
