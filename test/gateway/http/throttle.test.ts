// Token buckets: what calls take, what comes back when, whom a refusal touches, and what the
// endpoint says of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModel, type ServiceName } from '../../../gateway/aws/model.ts'
import { chargesOf, EC2_RATES } from '../../../gateway/http/rates.ts'
import type { SecretOf } from '../../../gateway/http/sigv4.ts'
import { createThrottle, type Throttle } from '../../../gateway/http/throttle.ts'
import { call, codeIn } from './sign.ts'
import { auditOf, CALLER, KEY, secretOf, startEndpoint } from './support.ts'

const V = 'Version=2016-11-15'
const OTHER = { accessKeyId: 'AKIAMALLEETEST000002', account: '000000000002' }

interface Wish {
  readonly service?: ServiceName
  readonly input?: object
  readonly account?: string
  readonly nowMs?: number
}

/** How many of `times` calls at one moment pass, and the error of the first that does not. */
function calls(throttle: Throttle, operation: string, times: number, wish: Wish = {}) {
  const asked = { service: 'ec2' as const, input: {}, account: 'a', nowMs: 0, ...wish }
  for (let passed = 0; passed < times; passed += 1) {
    try {
      throttle({ operation, ...asked })
    } catch (error) {
      const { code, message, status } = error as { code: string; message: string; status: number }
      return { passed, code, message, status }
    }
  }
  return { passed: times, code: '', message: '', status: 200 }
}

for (const [what, operation, wish, burst, perSecond] of [
  ['a read', 'DescribeVpcs', {}, 100, 20],
  ['a change', 'CreateVpc', {}, 50, 5],
  ['an action with rates of its own', 'CreateTags', {}, 100, 10],
  ['a rate below one a second', 'CopyImage', {}, 100, 1],
  ['a read of everything', 'DescribeInstances', {}, 50, 10],
  ['a read of a page', 'DescribeInstances', { input: { MaxResults: 5 } }, 100, 20],
  ['a read of the next page', 'DescribeInstances', { input: { NextToken: 'x' } }, 100, 20],
  ['a filtered read', 'DescribeVolumes', { input: { Filters: [{}] } }, 100, 20],
  ['a read of one', 'DescribeInstances', { input: { InstanceIds: ['i-1'] } }, 100, 20],
  ['a read with an empty filter', 'DescribeInstances', { input: { Filters: [] } }, 50, 10],
  ['a launch', 'RunInstances', { input: { MaxCount: 1 } }, 5, 2],
  ['a stop', 'StopInstances', { input: { InstanceIds: ['i-1'] } }, 50, 5],
  ["IAM's reads", 'ListUsers', { service: 'iam' }, 100, 20],
  ["IAM's changes", 'CreateUser', { service: 'iam' }, 50, 5],
  ["STS's calls", 'AssumeRole', { service: 'sts' }, 600, 600],
] as const) {
  test(`${what} passes ${burst} times, then ${perSecond} times a second`, () => {
    const throttle = createThrottle(1)
    assert.equal(calls(throttle, operation, 1000, wish).passed, burst)
    assert.equal(calls(throttle, operation, 1000, { ...wish, nowMs: 1000 }).passed, perSecond)
    const laterMs = 1000 + (burst / perSecond) * 1000
    assert.equal(calls(throttle, operation, 1000, { ...wish, nowMs: laterMs }).passed, burst)
  })
}

test('what a bucket gets back comes little by little and never beyond what it holds', () => {
  const throttle = createThrottle(1)
  calls(throttle, 'CreateVpc', 50)
  assert.equal(calls(throttle, 'CreateVpc', 9, { nowMs: 199 }).passed, 0)
  assert.equal(calls(throttle, 'CreateVpc', 9, { nowMs: 200 }).passed, 1)
  assert.equal(calls(throttle, 'CreateVpc', 99, { nowMs: 3_600_000 }).passed, 50)
})

test('a clock that goes back neither fills a bucket nor stops it from filling', () => {
  const throttle = createThrottle(1)
  assert.equal(calls(throttle, 'CreateVpc', 99, { nowMs: 9_000_000 }).passed, 50)
  assert.equal(calls(throttle, 'CreateVpc', 99, { nowMs: 5_000 }).passed, 0)
  assert.equal(calls(throttle, 'CreateVpc', 99, { nowMs: 6_000 }).passed, 5)
})

test('EC2 refuses with RequestLimitExceeded and names account, action and which limit', () => {
  const throttle = createThrottle(1)
  const account = '000000000007'
  const { passed: _, ...refused } = calls(throttle, 'CreateVpc', 51, { account })
  assert.deepEqual(refused, {
    code: 'RequestLimitExceeded',
    message: `Request limit exceeded. Account ${account} has been throttled on ec2:CreateVpc because it exceeded its request rate limit.`,
    status: 503,
  })
})

for (const [service, operation] of [
  ['iam', 'CreateUser'],
  ['sts', 'GetCallerIdentity'],
  ['autoscaling', 'CreateAutoScalingGroup'],
  ['elasticloadbalancing', 'CreateLoadBalancer'],
] as const) {
  test(`${service} refuses with Throttling`, () => {
    const { code, message, status } = calls(createThrottle(1), operation, 601, { service })
    assert.deepEqual([code, message, status], ['Throttling', 'Rate exceeded', 400])
  })
}

test('an empty bucket stops its action of its account, and nothing else', () => {
  const throttle = createThrottle(1)
  assert.equal(calls(throttle, 'CreateVpc', 51).passed, 50)
  assert.equal(calls(throttle, 'DeleteVpc', 50).passed, 50)
  assert.equal(calls(throttle, 'CreateVpc', 50, { account: 'b' }).passed, 50)
  // The same name in another service.
  assert.equal(calls(throttle, 'DescribeTags', 101).passed, 100)
  assert.equal(calls(throttle, 'DescribeTags', 100, { service: 'autoscaling' }).passed, 100)
  // Reading everything too often does not stop reading one.
  assert.equal(calls(throttle, 'DescribeInstances', 51).passed, 50)
  const input = { InstanceIds: ['i-1'] }
  assert.equal(calls(throttle, 'DescribeInstances', 100, { input }).passed, 100)
})

test("STS's actions share one bucket", () => {
  const throttle = createThrottle(1)
  assert.equal(calls(throttle, 'AssumeRole', 400, { service: 'sts' }).passed, 400)
  assert.equal(calls(throttle, 'GetCallerIdentity', 400, { service: 'sts' }).passed, 200)
})

test('launches take a token for each instance, and a refused one takes none', () => {
  const throttle = createThrottle(1)
  const run = (MaxCount: number, nowMs = 0) =>
    calls(throttle, 'RunInstances', 1, { input: { MaxCount }, nowMs })
  assert.equal(run(900).passed, 1)
  const refused = run(101)
  assert.match(refused.message, /ec2:RunInstances because it exceeded its resource rate limit\.$/)
  assert.equal(run(100).passed, 1)
  assert.equal(run(1).code, 'RequestLimitExceeded')
  assert.equal(run(2, 999).code, 'RequestLimitExceeded')
  assert.equal(run(2, 1000).passed, 1)
})

for (const operation of ['StartInstances', 'StopInstances', 'TerminateInstances']) {
  test(`${operation} takes a token for each instance`, () => {
    const input = { InstanceIds: Array.from({ length: 600 }, (_, i) => `i-${i}`) }
    assert.equal(calls(createThrottle(1), operation, 2, { input }).passed, 1)
  })
}

test('a call for more than there ever is passes: its own errors say more', () => {
  const throttle = createThrottle(1)
  const input = { MaxCount: 2 ** 31 }
  assert.equal(calls(throttle, 'RunInstances', 1, { input }).passed, 1)
  assert.equal(calls(throttle, 'RunInstances', 1).passed, 0)
})

test('a call that came to nothing gives its instances back, and stays counted', () => {
  const throttle = createThrottle(1)
  const asked = { service: 'ec2', operation: 'RunInstances', account: 'a', nowMs: 0 } as const
  for (let i = 0; i < 5; i += 1) throttle({ ...asked, input: { MaxCount: 1000 } })()
  assert.match(calls(throttle, 'RunInstances', 1).message, /its request rate limit/)
})

test('the factor multiplies what buckets hold and get, and leaves at least one call', () => {
  assert.equal(calls(createThrottle(12), 'RunInstances', 100).passed, 60)
  const half = createThrottle(0.5)
  assert.equal(calls(half, 'CreateVpc', 100).passed, 25)
  assert.equal(calls(half, 'CreateVpc', 100, { nowMs: 2000 }).passed, 5)
  const least = createThrottle(0.001)
  assert.equal(calls(least, 'RunInstances', 100).passed, 1)
  assert.equal(calls(least, 'RunInstances', 100, { nowMs: 499_000 }).passed, 0)
  assert.equal(calls(least, 'RunInstances', 100, { nowMs: 500_000 }).passed, 1)
})

test('beyond so many buckets the one that was used longest ago is forgotten', () => {
  const throttle = createThrottle(1, 2)
  const spend = (account: string) => calls(throttle, 'CreateVpc', 51, { account }).passed
  assert.deepEqual(['a', 'b', 'c'].map(spend), [50, 50, 50])
  assert.deepEqual([spend('c'), spend('b')], [0, 0])
  assert.equal(spend('d'), 50)
  assert.deepEqual([spend('a'), spend('d')], [50, 0])
})

test('buckets are swept without a token being lost or made', () => {
  const throttle = createThrottle(1)
  // The first call of all sweeps; so does the one after a minute.
  assert.equal(calls(throttle, 'CreateVpc', 99).passed, 50)
  assert.equal(calls(throttle, 'CopyImage', 999).passed, 100)
  assert.equal(calls(throttle, 'CreateVpc', 99, { nowMs: 60_000 }).passed, 50)
  assert.equal(calls(throttle, 'CopyImage', 999, { nowMs: 60_000 }).passed, 60)
})

test("every action with rates of its own is one of EC2's", () => {
  const known = Object.keys(loadModel('ec2').ops)
  assert.deepEqual(
    [...EC2_RATES.keys()].filter((name) => !known.includes(name)),
    [],
  )
  assert.ok([...EC2_RATES.values()].every(({ capacity, perSecond }) => capacity * perSecond > 0))
  const [{ rate } = { rate: null }] = chargesOf({
    ...{ service: 'ec2', operation: 'CreateVpcEndpoint', input: {} },
  })
  assert.deepEqual(rate, { capacity: 4, perSecond: 0.3 })
})

test('the endpoint refuses, answers again later, and spares other actions and accounts', async (t) => {
  let nowMs = Date.now()
  const clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const ofBoth: SecretOf = async (id, token) =>
    id === OTHER.accessKeyId
      ? { secret: KEY.secretAccessKey, caller: { ...CALLER, ...OTHER } }
      : await secretOf(id, token)
  // A fiftieth: one DeleteVpc, and one more in ten seconds; two DescribeRegions.
  const parts = { clock, throttle: createThrottle(0.02), secretOf: ofBoth }
  const { port, lines, metrics } = await startEndpoint(t, parts)
  const send = (action: string, accessKeyId = KEY.accessKeyId) =>
    call(port, { body: `Action=${action}&${V}`, atMs: nowMs, accessKeyId })
  const remove = (accessKeyId?: string) => send('DeleteVpc&VpcId=vpc-1', accessKeyId)

  const first = await remove()
  assert.equal(first.status, 200)
  const refused = await remove()
  const xml = await refused.text()
  assert.deepEqual([refused.status, codeIn(xml)], [503, 'RequestLimitExceeded'])
  assert.match(xml, /<Message>Request limit exceeded\. Account 000000000001 has been throttled on /)
  assert.equal(refused.headers.get('retry-after'), null)
  assert.equal((await remove(OTHER.accessKeyId)).status, 200)
  assert.equal((await send('DescribeRegions')).status, 200)

  nowMs += 9_999
  assert.equal((await remove()).status, 503)
  nowMs += 1
  assert.equal((await remove()).status, 200)

  const { text } = await metrics.scrape()
  const counted = 'mallee_api_throttled_total{service="ec2",action="DeleteVpc"} 2'
  assert.ok(text.includes(counted), text)
  const codes = lines
    .filter(({ event }) => event === 'api call')
    .map(({ fields }) => fields['code'])
  const limit = 'RequestLimitExceeded'
  assert.deepEqual(codes, ['OK', limit, 'OK', 'OK', limit, 'OK'])
  // It is no failure of the gateway's.
  assert.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
  assert.equal(auditOf(lines, 'DescribeRegions')['status'], 200)
})

test('the endpoint gives back the instances of a launch that failed', async (t) => {
  const fail = () => {
    throw new Error('no room')
  }
  const throttle = createThrottle(1)
  const { port } = await startEndpoint(t, { throttle, ec2: { RunInstances: fail } })
  const body = `Action=RunInstances&${V}&MinCount=1&MaxCount=1000&ImageId=ami-1`
  for (let i = 0; i < 3; i += 1) {
    assert.equal(codeIn(await (await call(port, { body })).text()), 'InternalError')
  }
})

test('the endpoint refuses a call before it asks any policy', async (t) => {
  const asked: string[] = []
  const { port } = await startEndpoint(t, {
    throttle: createThrottle(0.001),
    authorize: async ({ operation }) => {
      asked.push(operation)
      return undefined
    },
  })
  for (const status of [200, 503]) {
    const answer = await call(port, { body: `Action=DescribeRegions&${V}` })
    assert.equal(answer.status, status)
    await answer.text()
  }
  assert.deepEqual(asked, ['DescribeRegions'])
})
