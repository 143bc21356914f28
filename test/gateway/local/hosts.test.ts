// Hosts that the operator cordons: nothing new is placed there, what runs there runs on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { watchGauges } from '../../../gateway/observe.ts'
import {
  type Cloud,
  openCloud,
  refused,
  registerImage,
  report,
  run,
  setHost,
} from '../ec2/support.ts'
import { localApi } from './support.ts'

interface Shown {
  readonly rack: string
  readonly host: string
  readonly cordoned: boolean
  readonly instances: number
  readonly free: { readonly vcpus: number } | null
  readonly why: string
}

test('a cordoned host gets no instances, keeps those it has, and is shown as one', async (t) => {
  const { cloud, post, get } = await served(t)
  const ImageId = await registerImage(cloud)
  const hostOf = (id: string): string => cloud.state.view().get('instance', id)?.host ?? ''
  const [first = ''] = await run(cloud, { ImageId })
  const full = hostOf(first)
  const other = full === 'a1' ? 'a2' : 'a1'
  assert.deepEqual(await post(full, 'cordon'), [200, { rack: 'a', host: full, cordoned: true }])
  const more = await run(cloud, { ImageId, count: 3 })
  assert.deepEqual([...new Set(more.map(hostOf))], [other])
  assert.equal(cloud.state.view().get('instance', first)?.desired, 'running')
  const { hosts } = await get<{ hosts: Shown[] }>('/v1/hosts')
  const found = hosts.find((one) => one.host === full)
  assert.deepEqual(
    [found?.rack, found?.cordoned, found?.instances, found?.free?.vcpus, found?.why],
    ['a', true, 1, 6, 'is cordoned'],
  )
  assert.equal(hosts.find((one) => one.host === other)?.why, '')
  assert.deepEqual(
    hosts.filter((one) => one.free === null).map((one) => [one.host, one.why]),
    [['a0', 'has no nc role']],
  )
  const { racks } = await get<{ racks: { hosts: Shown[] }[] }>('/v1/status')
  assert.deepEqual(
    racks[0]?.hosts.filter((one) => one.cordoned).map((one) => one.host),
    [full],
  )
  await setHost(cloud.state, 'a', full, { trouble: 'a report of its own' })
  await post(other, 'cordon')
  const { code, message } = await refused(run(cloud, { ImageId }))
  assert.equal(code, 'InsufficientInstanceCapacity')
  assert.match(message, new RegExp(`host ${full} of rack a is cordoned`))
  await post(full, 'uncordon')
  const [last = ''] = await run(cloud, { ImageId })
  assert.equal(hostOf(last), full)
})

test('what is stopped on a cordoned host does not start until it is uncordoned', async (t) => {
  const { cloud, post } = await served(t)
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  await report(cloud.state, id, 'running')
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  const host = cloud.state.view().get('instance', id)?.host ?? ''
  await post(host, 'cordon')
  const start = (): Promise<unknown> => cloud.call('StartInstances', { InstanceIds: [id] })
  const { code, message } = await refused(start())
  assert.equal(code, 'InsufficientInstanceCapacity')
  assert.match(message, /is cordoned/)
  await post(host, 'uncordon')
  await start()
})

test('no launch of another gateway lands on a host after it was cordoned', async (t) => {
  const { cloud, post } = await served(t)
  const other = await cloud.otherGateway()
  const ImageId = await registerImage(cloud)
  await Promise.all([post('a1', 'cordon'), other('RunInstances', { ImageId, ...counts(1) })])
  const before = (await cloud.state.fresh()).instancesOf('host', 'a1').length
  await other('RunInstances', { ImageId, ...counts(2) })
  assert.equal((await cloud.state.fresh()).instancesOf('host', 'a1').length, before)
})

test('cordon refuses hosts that are not there; repeating it changes nothing', async (t) => {
  const { cloud, post } = await served(t)
  for (const verb of ['cordon', 'uncordon'] as const) {
    const [status, body] = await post('nobody', verb)
    assert.deepEqual([status, body['code']], [404, 'HostNotFound'])
    assert.equal((await post('a1', verb))[0], 200)
    assert.equal((await post('a1', verb))[0], 200)
  }
  const metrics = createMetrics()
  await post('a1', 'cordon')
  await cloud.state.fresh()
  const sessions = new Sessions()
  const certificateEnds = (): { ca: number; gateway: number } => ({ ca: 0, gateway: 0 })
  const parts = { state: cloud.state, sessions, metrics, certificateEnds, clock: systemClock }
  watchGauges(parts)()
  const { text } = await metrics.scrape()
  assert.match(text, /^mallee_hosts_cordoned 1$/m)
  assert.match(text, /^mallee_hosts_leaving\{state="draining"\} 0$/m)
})

function counts(count: number): { MinCount: number; MaxCount: number } {
  return { MinCount: count, MaxCount: count }
}

interface Served {
  readonly cloud: Cloud
  readonly post: (
    host: string,
    verb: 'cordon' | 'uncordon',
  ) => Promise<[status: number, body: Record<string, unknown>]>
  readonly get: <T>(url: string) => Promise<T>
}

async function served(t: Parameters<typeof openCloud>[0]): Promise<Served> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { app } = localApi(t, cloud)
  return {
    cloud,
    post: async (host, verb) => {
      const url = `/v1/racks/a/hosts/${host}/${verb}`
      const answer = await app.inject({ method: 'POST', url })
      return [answer.statusCode, answer.json()]
    },
    get: async (url) => (await app.inject({ method: 'GET', url })).json(),
  }
}
