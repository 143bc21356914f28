// A gateway deletes what another one refers to at that moment, and dies at any of its commits:
// nothing ever refers to what is gone, and the next deletion says what is so.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { createInstanceType, deleteInstanceType } from '../../../gateway/instance-types.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { storeWith } from '../store/store-with.ts'
import { outcome } from './race-support.ts'
import { ACCOUNT, type Call, type Cloud, openCloud, registerImage, START_MS } from './support.ts'

/** More than a deletion makes when nobody is in its way. */
const MOST_COMMITS = 4

interface Ground {
  readonly cloud: Cloud
  readonly other: Call
  readonly image: string
  readonly vpc: string
  readonly subnet: string
  readonly group: string
  readonly table: string
  readonly plan: (plan: Plan | null) => void
}

/** What happens at the commits of the one gateway, from the first one on. */
interface Plan {
  /** Before this one the other gateway refers to the thing. */
  readonly referAt: number
  readonly refer: () => Promise<void>
  /** Here it dies. */
  readonly dieAt: number
  readonly when: 'before' | 'after'
}

interface Thing {
  readonly refer: (call: Call) => Promise<unknown>
  readonly remove: (by: 'dying' | 'other') => Promise<unknown>
  /** The code when it is in use. */
  readonly inUse: string
}

async function openGround(t: TestContext): Promise<Ground> {
  let plan: Plan | null = null
  let commits = 0
  let isPaused = false
  const dead = new Error('the gateway is dead')
  const cloud = await openCloud(t, {
    racks: ['a'],
    vcpus: 96,
    openStore: async (file): Promise<Store> => {
      const store = await openSqlite({ file, log: silentLog })
      return storeWith(store, {
        txn: async (when, then) => {
          if (plan === null || isPaused || then.length === 0) return await store.txn(when, then)
          commits += 1
          if (commits > plan.dieAt) throw dead
          if (commits === plan.referAt) {
            isPaused = true
            await plan.refer().finally(() => {
              isPaused = false
            })
          }
          const isLast = commits === plan.dieAt
          if (isLast && plan.when === 'before') throw dead
          const result = await store.txn(when, then)
          if (isLast) throw dead
          return result
        },
      })
    },
  })
  const view = await cloud.state.fresh()
  const [vpc] = view.by('vpc', 'account', ACCOUNT)
  const [subnet] = view.by('subnet', 'vpc', vpc?.id ?? '')
  const [group] = view.by('security-group', 'vpc', vpc?.id ?? '')
  return {
    cloud,
    other: await cloud.otherGateway(),
    image: await registerImage(cloud),
    vpc: vpc?.id ?? '',
    subnet: subnet?.id ?? '',
    group: group?.id ?? '',
    table: vpc?.mainRouteTable ?? '',
    plan: (next) => {
      plan = next
      commits = 0
    },
  }
}

/** Things, each with a way to refer to it. */
const THINGS: Record<string, (ground: Ground, n: number) => Promise<Thing>> = {
  'a security group and an interface in it': async (ground, n) => {
    const { GroupId = '', ...thing } = await newGroup(ground, n)
    const refer = (call: Call): Promise<unknown> =>
      call('CreateNetworkInterface', { SubnetId: ground.subnet, Groups: [GroupId] })
    return { ...thing, refer }
  },
  'a security group and a rule that names it': async (ground, n) => {
    const { GroupId = '', ...thing } = await newGroup(ground, n)
    const refer = (call: Call): Promise<unknown> =>
      call('AuthorizeSecurityGroupIngress', {
        GroupId: ground.group,
        IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId }] }],
      })
    return { ...thing, refer }
  },
  'a network ACL and a subnet with it': async ({ cloud, other, vpc, subnet }) => {
    const { NetworkAcl } = await cloud.call('CreateNetworkAcl', { VpcId: vpc })
    const NetworkAclId = NetworkAcl?.NetworkAclId ?? ''
    const AssociationId = (await cloud.state.fresh()).get('subnet', subnet)?.aclAssociation ?? ''
    return {
      refer: (call) => call('ReplaceNetworkAclAssociation', { AssociationId, NetworkAclId }),
      remove: (by) => (by === 'other' ? other : cloud.call)('DeleteNetworkAcl', { NetworkAclId }),
      inUse: 'DependencyViolation',
    }
  },
  'a prefix list and a route to it': async (ground, n) => {
    const { PrefixListId, ...thing } = await newList(ground, n)
    const [gateway] = ground.cloud.state.view().by('internet-gateway', 'vpc', ground.vpc)
    const to = { RouteTableId: ground.table, GatewayId: gateway?.id ?? '' }
    const refer = (call: Call): Promise<unknown> =>
      call('CreateRoute', { ...to, DestinationPrefixListId: PrefixListId })
    return { ...thing, refer }
  },
  'a prefix list and a rule that names it': async (ground, n) => {
    const { PrefixListId, ...thing } = await newList(ground, n)
    const refer = (call: Call): Promise<unknown> =>
      call('AuthorizeSecurityGroupIngress', {
        GroupId: ground.group,
        IpPermissions: [{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId }] }],
      })
    return { ...thing, refer }
  },
  'a placement group and an instance in it': async ({ cloud, other, image }, n) => {
    const GroupName = `close-${n}`
    await cloud.call('CreatePlacementGroup', { GroupName })
    return {
      refer: (call) => call('RunInstances', { ...little(image), Placement: { GroupName } }),
      remove: (by) => (by === 'other' ? other : cloud.call)('DeletePlacementGroup', { GroupName }),
      inUse: 'InvalidPlacementGroup.InUse',
    }
  },
  'an instance type and an instance of it': async ({ cloud, image }, n) => {
    const { state } = cloud
    const parts = { state, randomHex, nowMs: START_MS }
    const name = `t9.size${n}`
    const sizes = { vcpus: 1, memoryMib: 512, diskGib: 4, interfaces: 2, addresses: 2 }
    await createInstanceType(parts, { name, ...sizes })
    const wish = { ...little(image), InstanceType: name as 't3.nano' }
    return {
      refer: (call) => call('RunInstances', wish),
      remove: () => deleteInstanceType(parts, name),
      inUse: 'Conflict',
    }
  },
}

for (const [what, open] of Object.entries(THINGS)) {
  test(`a kill while ${what} come at once leaves no reference to what is gone`, async (t) => {
    const ground = await openGround(t)
    const { cloud, plan } = ground
    const seen = new Set<string>()
    let n = 0
    for (const [referAt, dieAt, when] of plans()) {
      const thing = await open(ground, n++)
      let referred = 'nobody asked'
      const refer = async (): Promise<void> => {
        referred = await outcome(thing.refer(ground.other))
      }
      plan({ referAt, refer, dieAt, when })
      const end = await thing.remove('dying').then(
        () => 'deleted',
        (error: Error) => error.message,
      )
      plan(null)
      const at = `referred before ${referAt}, dead ${when} ${dieAt}: ${end}, ${referred}`
      assert.deepEqual(dangling(await cloud.state.fresh()), [], at)
      seen.add(end === 'deleted' ? end : end === 'the gateway is dead' ? 'dead' : 'refused')
      const again = await outcome(thing.remove('other'))
      if (referred === 'accepted') assert.equal(again, thing.inUse, at)
      else if (again !== 'accepted') assert.match(again, /NotFound|Unknown/, at)
      assert.deepEqual(dangling(await cloud.state.fresh()), [], `once more, ${at}`)
    }
    assert.deepEqual([...seen].sort(), ['dead', 'deleted', 'refused'], 'it met all ends')
    await purgeTerminated(cloud.state, Number.MAX_SAFE_INTEGER)
    assert.deepEqual((await cloud.state.fresh()).all('removal'), [])
  })
}

function* plans(): Generator<readonly [number, number, 'before' | 'after']> {
  for (let referAt = 1; referAt <= MOST_COMMITS; referAt++) {
    for (let dieAt = 1; dieAt <= MOST_COMMITS; dieAt++) {
      yield [referAt, dieAt, 'before']
      yield [referAt, dieAt, 'after']
    }
  }
}

async function newGroup({ cloud, other, vpc }: Ground, n: number) {
  const wish = { GroupName: `group-${n}`, Description: 'short-lived', VpcId: vpc }
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', wish)
  const remove = (by: 'dying' | 'other'): Promise<unknown> =>
    (by === 'other' ? other : cloud.call)('DeleteSecurityGroup', { GroupId })
  return { GroupId, remove, inUse: 'DependencyViolation' }
}

async function newList({ cloud, other }: Ground, n: number) {
  const wish = { PrefixListName: `list-${n}`, AddressFamily: 'IPv4', MaxEntries: 1 }
  const { PrefixList } = await cloud.call('CreateManagedPrefixList', wish)
  const PrefixListId = PrefixList?.PrefixListId ?? ''
  const remove = (by: 'dying' | 'other'): Promise<unknown> =>
    (by === 'other' ? other : cloud.call)('DeleteManagedPrefixList', { PrefixListId })
  return { PrefixListId, remove, inUse: 'DependencyViolation' }
}

function little(ImageId: string) {
  return { ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const
}

/** Ids of what is named and not there. */
function dangling(view: View): string[] {
  const rules = view.all('security-group').flatMap((group) => group.rules)
  const routes = view.all('route-table').flatMap((table) => table.routes)
  const groups = [
    ...view.all('interface').flatMap((one) => one.securityGroups),
    ...rules.map((rule) => rule.group),
  ].filter((id) => id !== '' && view.get('security-group', id) === null)
  const lists = [...rules.map((rule) => rule.prefixList), ...routes.map((one) => one.destination)]
    .filter((id) => id.startsWith('pl-'))
    .filter((id) => view.get('prefix-list', id) === null)
  const acls = view
    .all('subnet')
    .map((subnet) => subnet.acl)
    .filter((id) => view.get('network-acl', id) === null)
  const instances = view.all('instance')
  const placements = instances
    .map((one) => one.group?.id ?? '')
    .filter((id) => id !== '' && view.get('placement-group', id) === null)
  const types = instances
    .map((one) => one.type)
    .filter((name) => name.startsWith('t9.') && view.get('instance-type', name) === null)
  return [...groups, ...lists, ...acls, ...placements, ...types]
}
