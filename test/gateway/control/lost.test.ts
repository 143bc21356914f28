// Hosts and racks that never come back: their instances end with a reason, what they held is given
// back, and what was begun is finished by whichever gateway is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { declareLost, finishAllLost, finishLost } from '../../../gateway/control/lost.ts'
import { writersOf } from '../../../gateway/ebs/attachment-life.ts'
import { hostIndexPool } from '../../../gateway/pools.ts'
import type { VolumeRecord } from '../../../gateway/store/volume-records.ts'
import { HOST_INDEXES } from '../../../topology/ranges.ts'
import { testSealer } from '../../support/sealer.ts'
import { withImage } from '../ebs/boot-support.ts'
import { addPublicPool } from '../ec2/network-support.ts'
import {
  ACCOUNT,
  type Cloud,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
  setHost,
} from '../ec2/support.ts'
import { localApi } from '../local/support.ts'

async function filled(t: Parameters<typeof openCloud>[0], count = 4) {
  const cloud = await openCloud(t)
  const ids = await run(cloud, { ImageId: await registerImage(cloud), count })
  for (const id of ids) await report(cloud.state, id, 'running')
  const { call } = localApi(t, cloud)
  const first = (await cloud.state.fresh()).get('instance', ids[0] ?? '')
  assert.ok(first)
  const { rack, host } = first
  const here = (await cloud.state.fresh()).instancesOf('host', host).map(({ id }) => id)
  const lose = (path = `/v1/racks/${rack}/hosts/${host}`) => call('DELETE', `${path}?lost=true`)
  return {
    cloud,
    call,
    lose,
    rack,
    host,
    here,
    first,
    others: ids.filter((id) => !here.includes(id)),
  }
}

test('a lost host takes its instances along and nothing else', async (t) => {
  const { cloud, call, lose, rack, host, here, others, first } = await filled(t)
  const index = cloud.state.view().get('host', rack, host)?.index
  const path = `/v1/racks/${rack}/hosts/${host}`
  assert.equal((await call('DELETE', path)).status, 409, 'without lost it has instances')
  const refused = await lose()
  assert.equal(refused.status, 409)
  assert.match(String(refused.body['message']), /is connected and i-\w+ is running there: drain it/)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  const [InstanceId = ''] = here
  const card = first.interfaces[0] ?? ''
  await gatewayFor(cloud, first.vpc)
  const { AllocationId = '' } = await cloud.call('AllocateAddress', {})
  await cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: card })
  await setHost(cloud.state, rack, host, { connected: false })
  const { status, body } = await lose()
  assert.equal(status, 200)
  assert.deepEqual(
    [body['removed'], new Set(body['terminated'] as string[])],
    [host, new Set(here)],
  )
  const view = await cloud.state.fresh()
  assert.equal(view.get('host', rack, host), null)
  assert.equal(view.get('placed', rack, host), null)
  for (const id of others) assert.equal(view.get('instance', id)?.state, 'running')
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [InstanceId] })
  const [shown] = Reservations?.[0]?.Instances ?? []
  assert.equal(shown?.State?.Name, 'terminated')
  assert.equal(shown?.StateReason?.Code, 'Server.InternalError')
  assert.match(shown?.StateReason?.Message ?? '', /the host of the instance was lost/)
  assert.equal(view.get('interface', card), null)
  assert.equal(view.get('address', AllocationId)?.association, '', "it stays its owner's")
  const next = await cloud.state.update((tx) => tx.pool(hostIndexPool(rack)).take(HOST_INDEXES))
  assert.notEqual(next, index, 'its number rests')
  assert.equal((await lose()).status, 404)
})

test('what was only said is done by the next gateway, in as many steps as it takes', async (t) => {
  const { cloud, rack, host, here } = await filled(t)
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  await setHost(cloud.state, rack, host, { connected: false })
  await declareLost(parts, rack, [host])
  const { call } = localApi(t, cloud)
  const uncordon = await call('POST', `/v1/racks/${rack}/hosts/${host}/uncordon`)
  assert.deepEqual([uncordon.status, uncordon.body['code']], [409, 'Conflict'])
  const { body } = await call('GET', `/v1/racks/${rack}/hosts/${host}`)
  assert.deepEqual([body['lost'], body['why']], [true, 'is not connected'])
  await cloud.restart()
  const again = { ...parts, state: cloud.state }
  await finishAllLost(again)
  const view = await cloud.state.fresh()
  assert.equal(view.get('host', rack, host), null)
  assert.ok(here.every((id) => view.get('instance', id)?.state === 'terminated'))
  await finishAllLost(again)
  assert.deepEqual(await finishLost(again, { rack, host }), [], 'once more is no error')
})

test('what boots from a volume of another host is stopped, and no host has a right to it', async (t) => {
  const { cloud, image } = await withImage(t)
  const ids = await run(cloud, { ImageId: image, count: 3 })
  for (const id of ids) await report(cloud.state, id, 'running')
  const [id = '', second = ''] = ids
  const { rack = '', host = '' } = cloud.state.view().get('instance', id) ?? {}
  await cloud.call('TerminateInstances', { InstanceIds: [second] })
  const here = cloud.state.view().instancesOf('host', host)
  const before = new Map(here.map((one) => [one.id, rootOf(cloud, one.id)]))
  await setHost(cloud.state, rack, host, { connected: false })
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  await declareLost(parts, rack, [host])
  await finishLost(parts, { rack, host })
  await finishAllLost(parts)
  const view = await cloud.state.fresh()
  assert.equal(view.get('host', rack, host), null)
  for (const { id: one } of here) {
    const record = view.get('instance', one)
    assert.equal(record?.state, one === second ? 'terminated' : 'stopped')
    const root = view.get('volume', before.get(one)?.id ?? '')
    const old = before.get(one)?.attachments[0]
    assert.equal(root?.attachments.find((at) => at.id === old?.id)?.state, 'released')
    if (one === second) continue
    const [fresh] = root == null ? [] : writersOf(root)
    assert.deepEqual([fresh?.host, fresh?.generation, fresh?.granted], ['', 2, false])
    assert.notEqual(fresh?.chapUser, old?.chapUser)
  }
  await cloud.call('StartInstances', { InstanceIds: [id] })
  const started = cloud.state.view().get('instance', id)
  assert.notEqual(started?.host, host)
  const [at] = [rootOf(cloud, id)].flatMap((one) => (one === undefined ? [] : writersOf(one)))
  assert.deepEqual([at?.host, at?.generation], [started?.host, 3])
})

test('what boots from a volume of its own host is lost with it', async (t) => {
  const { cloud, image } = await withImage(t)
  const [id = ''] = await run(cloud, { ImageId: image })
  await report(cloud.state, id, 'running')
  const { rack = '', host = '' } = cloud.state.view().get('instance', id) ?? {}
  const root = rootOf(cloud, id)
  assert.ok(root)
  await cloud.state.update((tx) => tx.put('volume', [root.id], { ...root, host }))
  await setHost(cloud.state, rack, host, { connected: false })
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  await declareLost(parts, rack, [host])
  assert.deepEqual(await finishLost(parts, { rack, host }), [id])
  assert.equal(cloud.state.view().get('instance', id)?.state, 'terminated')
})

function rootOf(cloud: Cloud, id: string): VolumeRecord | undefined {
  return cloud.state.view().by('volume', 'instances', id)[0]
}

test('a host that was not declared lost keeps what it has', async (t) => {
  const { cloud, rack, host, here } = await filled(t)
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  assert.deepEqual(await finishLost(parts, { rack, host }), [])
  const view = await cloud.state.fresh()
  assert.ok(here.every((id) => view.get('instance', id)?.state === 'running'))
  assert.notEqual(view.get('host', rack, host), null)
})

test('a drained host is lost while it is connected: only its disks are there', async (t) => {
  const { cloud, lose, rack, host, here } = await filled(t)
  await cloud.call('StopInstances', { InstanceIds: here })
  for (const id of here) await report(cloud.state, id, 'stopped')
  assert.equal((await lose()).status, 200)
  const view = await cloud.state.fresh()
  assert.equal(view.get('host', rack, host), null)
})

test('a lost rack goes whole, or says what must go first and loses nothing', async (t) => {
  const { cloud, call, lose, rack, here } = await filled(t, 6)
  const hosts = cloud.state.view().withPrefix('host', `${rack}/`)
  const all = cloud.state.view().instancesOf('rack', rack)
  for (const { host } of hosts) await setHost(cloud.state, rack, host, { connected: false })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  const { AllocationId } = await cloud.call('AllocateAddress', {})
  const subnets = (await cloud.state.fresh()).subnetsOf('account', ACCOUNT)
  const SubnetId = subnets.find((one) => one.rack === rack)?.id ?? ''
  const { NatGateway } = await cloud.call('CreateNatGateway', { SubnetId, AllocationId })
  const path = `/v1/racks/${rack}`
  const refused = await lose(path)
  assert.equal(refused.status, 409)
  assert.match(String(refused.body['message']), /has 1 NAT gateways, delete them first: nat-/)
  const kept = await cloud.state.fresh()
  assert.ok(here.every((id) => kept.get('instance', id)?.state === 'running'))
  assert.ok(hosts.every(({ host }) => kept.get('host', rack, host)?.lostAtMs === undefined))
  await cloud.call('DeleteNatGateway', { NatGatewayId: NatGateway?.NatGatewayId ?? '' })
  const { status, body } = await lose(path)
  assert.equal(status, 200)
  assert.deepEqual(new Set(body['terminated'] as string[]), new Set(all.map(({ id }) => id)))
  const view = await cloud.state.fresh()
  assert.equal(view.get('rack', rack), null)
  assert.deepEqual(view.subnetsOf('rack', rack), [])
  assert.equal((await call('GET', path)).status, 404)
})

test('nothing is started on a host that is lost, also by another gateway', async (t) => {
  const { cloud, rack, host, here } = await filled(t)
  await cloud.call('StopInstances', { InstanceIds: here })
  for (const id of here) await report(cloud.state, id, 'stopped')
  const other = await cloud.otherGateway()
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  const [started] = await Promise.all([
    refusal(other('StartInstances', { InstanceIds: here })),
    declareLost(parts, rack, [host]).then(
      () => 'lost',
      () => 'refused',
    ),
  ])
  const view = await cloud.state.fresh()
  const isLost = view.get('host', rack, host)?.lostAtMs !== undefined
  assert.equal(isLost, started !== 'accepted', started)
})

async function gatewayFor({ call, state }: Cloud, vpc: string): Promise<void> {
  const known = (await state.fresh()).by('internet-gateway', 'account', ACCOUNT)
  if (known.some((one) => one.vpc === vpc)) return
  const { InternetGateway } = await call('CreateInternetGateway', {})
  const InternetGatewayId = InternetGateway?.InternetGatewayId ?? ''
  await call('AttachInternetGateway', { InternetGatewayId, VpcId: vpc })
}
