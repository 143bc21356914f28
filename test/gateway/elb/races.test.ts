// Requests at once, at two gateways, in any order: records always fit together, and in the end all
// that was taken is given back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { tendBalancers } from '../../../gateway/control/balancer-life.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State, View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { ACCOUNT, type Cloud, openCloud, registerImage, report, START_MS } from '../ec2/support.ts'
import { partsOf } from './life-support.ts'
import { type Balancing, balancingOf, defaultNetwork, running } from './support.ts'

const NAMES = ['x', 'y'] as const
type Step = (elb: Balancing, cloud: Cloud) => Promise<unknown>

const some = fc.constantFrom(...NAMES)
const forward = (TargetGroupArn: string) => [{ Type: 'forward' as const, TargetGroupArn }]

async function arnOf(elb: Balancing, Name: string): Promise<string> {
  const { LoadBalancers } = await elb('DescribeLoadBalancers', { Names: [Name] })
  return LoadBalancers?.[0]?.LoadBalancerArn ?? ''
}

async function groupOf(elb: Balancing, Name: string): Promise<string> {
  const { TargetGroups } = await elb('DescribeTargetGroups', { Names: [Name] })
  return TargetGroups?.[0]?.TargetGroupArn ?? ''
}

const step: fc.Arbitrary<Step> = fc.oneof(
  some.map(
    (Name): Step =>
      (elb, cloud) => {
        const Subnets = [defaultNetwork(cloud).subnetIn('a')]
        const asked = { Name, Type: 'network', Scheme: 'internal', Subnets } as const
        return elb('CreateLoadBalancer', asked)
      },
  ),
  some.map(
    (Name): Step =>
      async (elb) => {
        await elb('DeleteLoadBalancer', { LoadBalancerArn: await arnOf(elb, Name) })
      },
  ),
  some.map(
    (Name): Step =>
      (elb, cloud) => {
        const VpcId = defaultNetwork(cloud).vpc
        return elb('CreateTargetGroup', { Name, Protocol: 'TCP', Port: 80, VpcId })
      },
  ),
  some.map(
    (Name): Step =>
      async (elb) => {
        await elb('DeleteTargetGroup', { TargetGroupArn: await groupOf(elb, Name) })
      },
  ),
  fc.tuple(some, some, fc.constantFrom(80, 81)).map(
    ([of, to, Port]): Step =>
      async (elb) => {
        const LoadBalancerArn = await arnOf(elb, of)
        const DefaultActions = forward(await groupOf(elb, to))
        await elb('CreateListener', { LoadBalancerArn, Protocol: 'TCP', Port, DefaultActions })
      },
  ),
  fc.tuple(some, some).map(
    ([of, to]): Step =>
      async (elb) => {
        const { Listeners } = await elb('DescribeListeners', {
          LoadBalancerArn: await arnOf(elb, of),
        })
        const ListenerArn = Listeners?.[0]?.ListenerArn ?? ''
        await elb('ModifyListener', {
          ListenerArn,
          DefaultActions: forward(await groupOf(elb, to)),
        })
      },
  ),
  some.map(
    (of): Step =>
      async (elb) => {
        const { Listeners } = await elb('DescribeListeners', {
          LoadBalancerArn: await arnOf(elb, of),
        })
        await elb('DeleteListener', { ListenerArn: Listeners?.[0]?.ListenerArn ?? '' })
      },
  ),
  fc.tuple(some, fc.boolean()).map(
    ([Name, both]): Step =>
      async (elb, cloud) => {
        const { subnetIn } = defaultNetwork(cloud)
        const Subnets = both ? [subnetIn('a'), subnetIn('b')] : [subnetIn('b')]
        await elb('SetSubnets', { LoadBalancerArn: await arnOf(elb, Name), Subnets })
      },
  ),
  fc.tuple(some, fc.boolean()).map(
    ([Name, isNew]): Step =>
      async (elb, cloud) => {
        const [one] = cloud.state.view().instancesOf('account', ACCOUNT)
        const asked = { TargetGroupArn: await groupOf(elb, Name), Targets: [{ Id: one?.id ?? '' }] }
        await (isNew ? elb('RegisterTargets', asked) : elb('DeregisterTargets', asked))
      },
  ),
  fc.constant<Step>((_, { state }) => tendBalancers(partsOf(state), START_MS + 3_600_000)),
)

/** What is wrong with the records, in words. */
function troubles(view: View): string[] {
  const found: string[] = []
  const must = (isSo: boolean, what: string) => void (isSo || found.push(what))
  for (const { id, loadBalancer, targetGroup } of view.all('listener')) {
    must(view.get('load-balancer', loadBalancer)?.listeners.includes(id) === true, `${id} is lost`)
    const group = view.get('target-group', targetGroup)
    must(group?.listeners.includes(id) === true, `${targetGroup} does not know ${id}`)
    must(group?.loadBalancer === loadBalancer, `${targetGroup} is another's`)
  }
  for (const { id, listeners, interfaces } of view.all('load-balancer')) {
    for (const one of listeners) must(view.get('listener', one) !== null, `${id} has no ${one}`)
    must(interfaces.length > 0, `${id} has no node`)
    for (const one of interfaces) {
      must(view.get('interface', one)?.type === 'network-load-balancer', `${one} is no interface`)
      must(view.get('balancer-node', one)?.loadBalancer === id, `${one} is no node of ${id}`)
    }
  }
  for (const { id, listeners } of view.all('target-group')) {
    for (const one of listeners) must(view.get('listener', one) !== null, `${id} has no ${one}`)
  }
  for (const { interface: id, loadBalancer } of view.all('balancer-node')) {
    const balancer = view.get('load-balancer', loadBalancer)
    must(balancer?.interfaces.includes(id) === true, `the node ${id} is lost`)
  }
  const cards = view.all('interface').filter((one) => one.type === 'network-load-balancer')
  must(cards.length === view.all('balancer-node').length, 'interfaces are not those of nodes')
  return found
}

test('whatever is asked at once, records fit together and all is given back', async (t) => {
  let store: Store | null = null
  const openStore = async (file: string): Promise<Store> => {
    store = await openSqlite({ file, log: silentLog })
    return store
  }
  const cloud = await openCloud(t, { openStore })
  assert.ok(store)
  const other: State = await openState({ store, clock: systemClock, log: silentLog })
  t.after(() => other.close())
  await running(cloud, 'a', await registerImage(cloud))
  const gateways = [balancingOf(cloud), balancingOf({ state: other })]
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 6 }),
    async (rounds) => {
      for (const round of rounds) {
        const asked = round.map((one, i) => one(gateways[i % 2] ?? balancingOf(cloud), cloud))
        for (const outcome of await Promise.allSettled(asked)) {
          if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof ApiError)
        }
        assert.deepEqual(troubles(await cloud.state.fresh()), [])
      }
    },
  )
  await fc.assert(property, { numRuns: 60 })

  const elb = balancingOf(cloud)
  const { LoadBalancers = [] } = await elb('DescribeLoadBalancers', {})
  for (const { LoadBalancerArn } of LoadBalancers)
    await elb('DeleteLoadBalancer', { LoadBalancerArn })
  const { TargetGroups = [] } = await elb('DescribeTargetGroups', {})
  for (const { TargetGroupArn } of TargetGroups) await elb('DeleteTargetGroup', { TargetGroupArn })
  await tendBalancers(partsOf(cloud.state), START_MS)
  const view = await cloud.state.fresh()
  for (const kind of ['balancer-node', 'listener', 'target', 'target-status'] as const) {
    assert.deepEqual(view.all(kind), [], kind)
  }
  assert.deepEqual(
    view.all('name').filter(({ name }) => NAMES.some((one) => one === name)),
    [],
  )
  assert.deepEqual(troubles(view), [])
})

test('an instance that ends while it is registered is no target for long', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const VpcId = defaultNetwork(cloud).vpc
  const made = await elb('CreateTargetGroup', { Name: 'x', Protocol: 'TCP', Port: 80, VpcId })
  const TargetGroupArn = made.TargetGroups?.[0]?.TargetGroupArn ?? ''
  const id = await running(cloud, 'a')
  const Targets = [{ Id: id }]
  await Promise.allSettled([
    elb('RegisterTargets', { TargetGroupArn, Targets }),
    report(cloud.state, id, 'terminated'),
  ])
  await tendBalancers(partsOf(cloud.state), START_MS)
  assert.deepEqual((await cloud.state.fresh()).all('target'), [])
})
