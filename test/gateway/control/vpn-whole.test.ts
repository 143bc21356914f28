// VPN connections from the user's call to the CCs and back: the model CCs take what they are told
// and say how it is; users see it, routes follow it, and another CC takes over.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatedRoles } from '../../../cluster-agent/simulated/roles.ts'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { withoutHost } from '../../../gateway/control/departure.ts'
import { rackDesired } from '../../../gateway/control/desired.ts'
import { tendVpns } from '../../../gateway/control/vpn-life.ts'
import { recordReport } from '../../../gateway/federation/reports.ts'
import type { State } from '../../../gateway/store/state.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies } from '../../../proto/resources.ts'
import { setHost } from '../ec2/support.ts'
import { connect, openVpnGround, shown } from '../ec2/vpn-ground.ts'
import { SECRETS } from './records.ts'

const FAR = '192.168.7.0/24'

/** The CC of a rack, as a model. */
function modelOf(state: State, rack: string) {
  const agent = { rack, host: `${rack}0` }
  const publicKey = `key of ${agent.host}`
  const options = { host: agent.host, roles: ['cc'], clock: systemClock, bootMs: 0, publicKey }
  const model = simulatedRoles(options)
  const desired = () => rackDesired(state.view(), agent, SECRETS)
  return {
    /** Takes what it shall hold, and reports. */
    pass: async () => {
      for (const { run } of model.passes) await run(desired())
      const parts = { state, clock: systemClock, log: silentLog }
      await recordReport(parts, agent, model.statuses())
    },
    /** How the rack's routes lead to the device. */
    ways: () => {
      const routes = bodies(desired(), 'routing').flatMap((one) => one.routes)
      const there = routes.filter(({ destination }) => destination === FAR)
      return [...new Set(there.map(({ kind }) => RouteKind[kind]))]
    },
  }
}

for (const kind of ['wireguard', 'ipsec'] as const) {
  test(`a connection to a device with ${kind} comes up, and moves when a CC leaves`, async (t) => {
    const ground = await openVpnGround(t, { racks: ['a', 'b', 'c'] })
    const { cloud, vpnGateway, vpc } = ground
    const { call, state } = cloud
    const models = new Map(['a', 'b', 'c'].map((rack) => [rack, modelOf(state, rack)]))
    const passAll = async (): Promise<void> => {
      for (const { pass } of models.values()) await pass()
    }
    for (const rack of models.keys()) await setHost(state, rack, `${rack}0`, { connected: true })
    const { VpnConnectionId: id } = await connect(ground, ground[kind])
    await call('CreateVpnConnectionRoute', { VpnConnectionId: id, DestinationCidrBlock: FAR })
    const main = (await state.fresh()).get('vpc', vpc)?.mainRouteTable
    await call('EnableVgwRoutePropagation', { RouteTableId: main, GatewayId: vpnGateway })
    const endsOf = () =>
      state
        .view()
        .get('vpn-connection', id)
        ?.tunnels.map(({ rack }) => rack) ?? []
    const statusOf = async () => {
      const { State, VgwTelemetry: tunnels = [] } = await shown(cloud, id)
      return [State, ...tunnels.map(({ Status }) => Status)]
    }

    assert.deepEqual(await statusOf(), ['pending', 'DOWN', 'DOWN'])
    await passAll()
    assert.deepEqual(await statusOf(), ['available', 'UP', 'UP'])
    const [first = '', second = ''] = endsOf()
    assert.deepEqual(models.get(first)?.ways(), ['VPN'])
    assert.deepEqual(models.get(second)?.ways(), ['RACK'])

    await setHost(state, first, `${first}0`, { connected: false })
    assert.deepEqual(await statusOf(), ['available', 'DOWN', 'UP'])
    assert.deepEqual(models.get(second)?.ways(), ['VPN'])

    await state.update((tx) => withoutHost(tx, state, first, `${first}1`))
    await state.update((tx) => withoutHost(tx, state, first, `${first}0`))
    models.delete(first)
    await tendVpns({ state, clock: systemClock, log: silentLog })
    const [third = ''] = endsOf()
    assert.notEqual(third, first)
    assert.equal(endsOf()[1], second)
    await passAll()
    assert.deepEqual(await statusOf(), ['available', 'UP', 'UP'])
    assert.deepEqual(models.get(third)?.ways(), ['VPN'])

    await call('DeleteVpnConnection', { VpnConnectionId: id })
    await passAll()
    assert.deepEqual(models.get(third)?.ways(), [])
    assert.deepEqual(state.view().all('vpn-link'), [])
  })
}
