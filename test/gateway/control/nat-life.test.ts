// NAT gateways begin when the CC that translates for them has them on its disk, and not before.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Clock, randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { ccFor } from '../../../gateway/control/desired-tunnels.ts'
import { startHousekeeping } from '../../../gateway/control/housekeeping.ts'
import { type NatParts, tendNatGateways } from '../../../gateway/control/nat-life.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { until } from '../../../sandbox/until.ts'
import { testSealer } from '../../support/sealer.ts'
import { dial, natParts } from '../ec2/fake-cc.ts'
import { addPublicPool } from '../ec2/network-support.ts'
import { ACCOUNT, type Cloud, openCloud, START_MS, setHost } from '../ec2/support.ts'

const CC = { rack: 'a', host: 'a0' }
/** As long as an instance may be pending. */
const LIMIT_MS = 30 * 60_000
const HOUR_MS = 3_600_000

interface Ground {
  readonly cloud: Cloud
  readonly parts: NatParts
  readonly SubnetId: string
  readonly AllocationId: string
  /** Makes one that is public, in rack a. */
  readonly create: () => Promise<string>
  readonly stateOf: (id: string) => Promise<string | undefined>
}

async function openGround(t: TestContext): Promise<Ground> {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  await addPublicPool(state, { cidr: '203.0.113.0/29' })
  // A CC that has a key does the rack's work.
  await setHost(state, 'a', 'a0', { wireguardPublicKey: 'a0' })
  const subnets = (await state.fresh()).subnetsOf('account', ACCOUNT)
  const SubnetId = subnets.find((one) => one.rack === 'a')?.id ?? ''
  const { AllocationId = '' } = await call('AllocateAddress', {})
  return {
    cloud,
    parts: natParts(state),
    SubnetId,
    AllocationId,
    create: async () => {
      const { NatGateway } = await call('CreateNatGateway', { SubnetId, AllocationId })
      return NatGateway?.NatGatewayId ?? ''
    },
    stateOf: async (id) => {
      const { NatGateways } = await call('DescribeNatGateways', { NatGatewayIds: [id] })
      return NatGateways?.[0]?.State
    },
  }
}

test('a NAT gateway is available when its CC has acknowledged it, not when the rack is there', async (t) => {
  const { parts, create, stateOf } = await openGround(t)
  const cc = dial(parts, CC)
  await cc.take()
  cc.acknowledge()
  const id = await create()
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'pending', 'not told')
  assert.ok((await cc.take()).includes(`nat/${id}`))
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'pending', 'told, and not on its disk')
  cc.acknowledge()
  await tendNatGateways(natParts(parts.state), START_MS)
  assert.equal(await stateOf(id), 'pending', 'another gateway does not know')
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'available')
})

test('a CC that comes back with a NAT gateway on its disk need not acknowledge it again', async (t) => {
  const { parts, create, stateOf } = await openGround(t)
  const cc = dial(parts, CC)
  await cc.take()
  cc.acknowledge()
  const before = cc.held()
  const id = await create()
  await cc.take()
  const { epoch, generation } = cc.held()
  // It stored what it was given, and neither end lived on to hear so.
  cc.hangUp()
  for (const [held, want] of [
    [null, 'pending'],
    [before, 'pending'],
    [{ epoch: 'another', generation }, 'pending'],
    [{ epoch, generation: generation + 1_000 }, 'pending'],
    [{ epoch, generation }, 'available'],
  ] as const) {
    const again = natParts(parts.state)
    const back = dial(again, CC, held)
    await tendNatGateways(again, START_MS)
    assert.equal(await stateOf(id), want, JSON.stringify(held))
    back.hangUp()
  }
})

test('the acknowledgement of another CC of the rack does not count', async (t) => {
  const { cloud, parts, create, stateOf } = await openGround(t)
  const { state } = cloud
  await state.update(async (tx) => {
    const host = await tx.get('host', 'a', 'a1')
    assert.ok(host)
    await tx.put('host', ['a', 'a1'], { ...host, roles: ['cc'] })
  })
  await setHost(state, 'a', 'a1', { wireguardPublicKey: 'a1' })
  const id = await create()
  const vpc = state.view().get('nat-gateway', id)?.vpc ?? ''
  const own = ccFor(state.view(), 'a', vpc) ?? ''
  const other = own === 'a0' ? 'a1' : 'a0'
  const [ownCc, otherCc] = [own, other].map((host) => dial(parts, { rack: 'a', host }))
  assert.ok(ownCc && otherCc)
  await otherCc.take()
  otherCc.acknowledge()
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'pending', 'it knows that the work is not its own')
  await ownCc.take()
  ownCc.acknowledge()
  await setHost(state, 'a', own, { connected: false })
  assert.equal(ccFor(state.view(), 'a', vpc), other)
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'pending', 'it does not know yet that the work is its own now')
  assert.ok((await otherCc.take()).includes(`nat/${id}`))
  otherCc.acknowledge()
  await tendNatGateways(parts, START_MS)
  assert.equal(await stateOf(id), 'available')
})

test('a NAT gateway that its CC does not take in half an hour failed, and gives all back', async (t) => {
  const { cloud, parts, create, stateOf, SubnetId, AllocationId } = await openGround(t)
  const id = await create()
  const one = cloud.state.view().get('nat-gateway', id)?.interface
  await tendNatGateways(parts, START_MS + LIMIT_MS)
  assert.equal(await stateOf(id), 'pending')
  const failedAtMs = START_MS + LIMIT_MS + 1
  await tendNatGateways({ ...parts, startedAtMs: failedAtMs - parts.leaseMs }, failedAtMs)
  assert.equal(await stateOf(id), 'pending', 'the racks of a new gateway get the time to come back')
  await tendNatGateways(parts, failedAtMs)
  const { NatGateways } = await cloud.call('DescribeNatGateways', { NatGatewayIds: [id] })
  const [{ State, FailureCode, FailureMessage, NatGatewayAddresses } = {}] = NatGateways ?? []
  assert.deepEqual(
    { State, FailureCode, FailureMessage, NatGatewayAddresses },
    {
      State: 'failed',
      FailureCode: 'InternalError',
      FailureMessage: `Network interface ${one}, created and used internally by this NAT gateway is in an invalid state. Please try again.`,
      NatGatewayAddresses: [],
    },
  )
  await cloud.call('ReleaseAddress', { AllocationId })
  await cloud.call('DeleteSubnet', { SubnetId })
  await tendNatGateways(parts, failedAtMs + HOUR_MS)
  assert.equal(await stateOf(id), 'failed', 'it can be seen for an hour')
  await tendNatGateways(parts, failedAtMs + HOUR_MS + 1)
  assert.equal(cloud.state.view().get('nat-gateway', id), null)
})

test('an acknowledgement wakes housekeeping', async (t) => {
  const { cloud, create, stateOf } = await openGround(t)
  const sessions = new Sessions()
  const cc = dial({ state: cloud.state, sessions }, CC)
  await cc.take()
  cc.acknowledge()
  const { clock, isAsleep } = standingClock()
  const housekeeping = startHousekeeping({
    ...{ state: cloud.state, sessions, sealer: await testSealer(t), gateway: 'one' },
    ...{ reachedAt: [], leaseMs: 15_000, startedAtMs: START_MS, clock, randomHex },
    ...{ chance: () => 0, log: silentLog },
  })
  t.after(() => housekeeping.stop())
  const id = await create()
  await cc.take()
  await until('housekeeping has nothing to do', isAsleep)
  assert.equal(await stateOf(id), 'pending')
  cc.acknowledge()
  await until('it is available', async () => (await stateOf(id)) === 'available')
})

/** No time goes by: who sleeps is woken or sleeps on. */
function standingClock(): { clock: Clock; isAsleep: () => boolean } {
  const sleepers = new Set<AbortSignal>()
  return {
    isAsleep: () => [...sleepers].some((signal) => !signal.aborted),
    clock: {
      nowMs: () => START_MS,
      sleep: (_ms, signal) => {
        assert.ok(signal, 'nobody sleeps who cannot be woken')
        sleepers.add(signal)
        return new Promise((resolve) => {
          if (signal.aborted) resolve()
          else signal.addEventListener('abort', () => resolve(), { once: true })
        })
      },
    },
  }
}
