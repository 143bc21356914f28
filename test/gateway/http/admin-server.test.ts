// Health, readiness and metrics as an operator's tools ask for them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdminServer } from '../../../gateway/http/admin-server.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { type Line, recordingLog } from './support.ts'

for (const [what, ready, status, body] of [
  ['no problem', async () => [], 200, { ready: true, problems: [] }],
  ['problems', async () => ['no store'], 503, { ready: false, problems: ['no store'] }],
  [
    ...['a check that fails', async () => Promise.reject(new Error('it broke')), 503],
    { ready: false, problems: ['it broke'] },
  ],
] as const) {
  test(`/readyz says ${status} with ${what}`, async (t) => {
    const lines: Line[] = []
    const app = createAdminServer({ metrics: createMetrics(), ready, log: recordingLog(lines) })
    t.after(() => app.close())
    const answer = await app.inject('/readyz')
    assert.equal(answer.statusCode, status)
    assert.deepEqual(answer.json(), body)
    assert.equal(lines.length, status === 200 ? 0 : 1)
  })
}

test('/readyz does not wait for ever', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const asked = Promise.withResolvers<void>()
  const ready = () => {
    asked.resolve()
    return new Promise<readonly string[]>(() => undefined)
  }
  const app = createAdminServer({ metrics: createMetrics(), ready, log: recordingLog([]) })
  t.after(() => app.close())
  const answer = app.inject('/readyz')
  await Promise.all([
    answer,
    asked.promise.then(() => new Promise(setImmediate)).then(() => t.mock.timers.tick(5_000)),
  ])
  assert.match((await answer).body, /did not end within 5000 ms/)
})

test('/healthz says alive, and other paths are not there', async (t) => {
  const app = createAdminServer({
    ...{ metrics: createMetrics(), ready: async () => ['down'], log: recordingLog([]) },
  })
  t.after(() => app.close())
  const alive = await app.inject('/healthz')
  assert.deepEqual([alive.statusCode, alive.json()], [200, { status: 'alive' }])
  const other = await app.inject('/etc/passwd')
  assert.equal(other.statusCode, 404)
  assert.match(String(other.headers['content-type']), /json/)
})

test('/metrics shows what was counted; a state that is not named any more is gone', async (t) => {
  const metrics = createMetrics()
  const app = createAdminServer({ metrics, ready: async () => [], log: recordingLog([]) })
  t.after(() => app.close())
  metrics.setSessions(2)
  metrics.setRacks({ connected: 2 })
  metrics.setInstances({ pending: 3, running: 1 })
  metrics.setInstances({ running: 4 })
  metrics.setTroubledHosts(1)
  metrics.setCordonedHosts(2)
  metrics.setLeavingHosts({ draining: 1, lost: 0 })
  metrics.setLoadBalancers({ active: 3 })
  metrics.setNodesWithoutHost(1)
  const counts = { hits: 3, misses: 1, bytesFromParents: 7, bytesFromNeighbours: 5 }
  metrics.setImages({ keptBytes: 12, ...counts })
  metrics.setCertificates({ ca: 2_000_000_000_000, gateway: 1_800_000_000_500 })
  metrics.storeTransaction('conflict', 0.002)
  for (let n = 0; n < 300; n++) {
    metrics.apiCall({ service: 'ec2', action: 'RunInstances', code: `E${n}`, seconds: 0.1 })
  }
  const { body, headers } = await app.inject('/metrics')
  assert.match(String(headers['content-type']), /^text\/plain/)
  for (const line of [
    'mallee_sessions 2',
    'mallee_racks{state="connected"} 2',
    'mallee_instances{state="running"} 4',
    'mallee_hosts_in_trouble 1',
    'mallee_hosts_cordoned 2',
    'mallee_hosts_leaving{state="draining"} 1',
    'mallee_hosts_leaving{state="lost"} 0',
    'mallee_load_balancers{state="active"} 3',
    'mallee_balancer_nodes_without_host 1',
    'mallee_images_kept_bytes 12',
    'mallee_images_asked{outcome="hit"} 3',
    'mallee_images_received_bytes{from="neighbour"} 5',
    'mallee_certificate_not_after_seconds{of="ca"} 2000000000',
    'mallee_certificate_not_after_seconds{of="gateway"} 1800000000.5',
    'mallee_store_transaction_seconds_count{outcome="conflict"} 1',
    'mallee_api_requests_total{service="ec2",action="RunInstances",code="other"} 100',
    'process_resident_memory_bytes',
  ]) {
    assert.ok(body.includes(line), line)
  }
  assert.doesNotMatch(body, /state="pending"/)
})
