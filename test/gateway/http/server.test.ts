// The public endpoint: every kind of good and bad request, on a real socket.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { call, codeIn, type Wish } from './sign.ts'
import { auditOf, CALLER, KEY, startEndpoint } from './support.ts'

const V = 'Version=2016-11-15'

for (const [what, wish, status, code] of [
  ['a good request', { body: `Action=DescribeRegions&${V}` }, 200, ''],
  [
    'an operation nobody implements',
    { body: `Action=DescribeImages&${V}` },
    400,
    'UnsupportedOperation',
  ],
  [
    ...['a bad parameter of an operation nobody implements'],
    ...[{ body: `Action=DescribeImages&Foo=1&${V}` }, 400, 'UnknownParameter'],
  ],
  ['an unknown action', { body: `Action=Nonsense&${V}` }, 400, 'InvalidAction'],
  [
    'an action named like a method of objects',
    { body: `Action=constructor&${V}` },
    400,
    'InvalidAction',
  ],
  ['no action', { body: V }, 400, 'MissingAction'],
  ['nothing at all', { body: '' }, 400, 'MissingAction'],
  ['an STS action for EC2', { body: `Action=GetCallerIdentity&${V}` }, 400, 'InvalidAction'],
  ['an unknown parameter', { body: `Action=DescribeRegions&Foo=1&${V}` }, 400, 'UnknownParameter'],
  ['a missing parameter', { body: `Action=DeleteVpc&${V}` }, 400, 'MissingParameter'],
  [
    ...['a value outside of its enum'],
    ...[{ body: `Action=CreateVpc&InstanceTenancy=x&${V}` }, 400],
    'InvalidParameterValue',
  ],
  ['a malformed query', { method: 'GET', query: 'Action=%zz' }, 400, 'MalformedQueryString'],
  ['a malformed form', { body: 'Action=%ff' }, 400, 'MalformedQueryString'],
  [
    ...['an action in the query and in the body'],
    ...[{ query: 'Action=DeleteVpc', body: `Action=DescribeRegions&${V}` }, 400],
    'MalformedQueryString',
  ],
  ['a dry run', { body: `Action=DeleteVpc&VpcId=v&DryRun=true&${V}` }, 412, 'DryRunOperation'],
  ['a full store', { body: `Action=DescribeTags&${V}` }, 503, 'Unavailable'],
  [
    ...['a store that does not answer'],
    ...[{ body: `Action=CreateTags&ResourceId.1=a&Tag.1.Key=k&${V}` }, 503, 'Unavailable'],
  ],
  ['a handler that breaks', { body: `Action=DescribeVpcs&${V}` }, 500, 'InternalError'],
] as readonly (readonly [string, Wish, number, string])[]) {
  test(`the endpoint answers ${what} with ${status} ${code}`, async (t) => {
    const { port, lines } = await startEndpoint(t)
    const response = await call(port, wish)
    const xml = await response.text()
    assert.deepEqual([response.status, codeIn(xml)], [status, code], xml)
    assert.equal(response.headers.get('content-type'), 'text/xml;charset=UTF-8')
    const requestId = response.headers.get('x-amzn-requestid') ?? ''
    assert.match(requestId, /^[0-9a-f-]{36}$/)
    assert.ok(xml.includes(requestId), xml)
    const audit = lines.find((line) => line.event === 'api call')?.fields
    assert.equal(audit?.['requestId'], requestId)
    assert.equal(audit?.['code'], code === '' ? 'OK' : code)
  })
}

test('the endpoint answers a POST of 2 MiB and refuses more', async (t) => {
  const { port } = await startEndpoint(t)
  const start = `Action=DescribeRegions&${V}&RegionName.1=`
  const large = await call(port, { body: start.padEnd(2 << 20, 'x') })
  assert.equal(large.status, 200)
  await large.text()
  const larger = await call(port, { body: start.padEnd((2 << 20) + 1, 'x') })
  assert.equal(larger.status, 413)
  assert.equal(codeIn(await larger.text()), 'RequestEntityTooLargeException')
})

for (const [what, path, init, status, code] of [
  ['an unsigned GET', '/', {}, 403, 'MissingAuthenticationToken'],
  ['an unsigned POST', '/', { method: 'POST', body: V }, 403, 'MissingAuthenticationToken'],
  ['another path', '/favicon.ico', {}, 404, 'InvalidURI'],
  ['a path that does not decode', '/%zz', {}, 400, 'InvalidURI'],
  ['PUT', '/', { method: 'PUT', body: 'x' }, 405, 'InvalidMethod'],
  ['OPTIONS', '/', { method: 'OPTIONS' }, 405, 'InvalidMethod'],
  [
    ...['a header of 70 KB', '/', { headers: { x: 'x'.repeat(70_000) } }, 431],
    'RequestEntityTooLargeException',
  ],
] as readonly (readonly [string, string, RequestInit, number, string])[]) {
  test(`the endpoint answers ${what} with ${status} ${code}`, async (t) => {
    const { url } = await startEndpoint(t)
    const response = await fetch(url + path, init)
    const xml = await response.text()
    assert.deepEqual([response.status, codeIn(xml)], [status, code], xml)
    assert.equal(response.headers.get('content-type'), 'text/xml;charset=UTF-8')
    assert.match(xml, /<RequestID>[0-9a-f-]{36}<\/RequestID>/)
  })
}

for (const [what, bytes] of [
  ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['a length that is no number', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n'],
  [
    'a length and chunks at once',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0',
  ],
] as const) {
  test(`the endpoint answers ${what} in XML and hangs up`, async (t) => {
    const { port } = await startEndpoint(t)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(bytes)
    const answer = await text(socket)
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.match(answer, /content-type: text\/xml/)
    assert.match(answer, /<Code>MalformedHttpRequestException<\/Code>/)
  })
}

test('the endpoint hangs up on a request that does not arrive, and says so in XML', async (t) => {
  const { app, port } = await startEndpoint(t)
  app.server.headersTimeout = 50
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
  const answer = await text(socket)
  assert.match(answer, /^HTTP\/1\.1 408 /)
  assert.match(answer, /<Code>RequestTimeoutException<\/Code>/)
})

for (const [service, version, namespace, action] of [
  ['sts', '2011-06-15', 'https://sts.amazonaws.com/doc/2011-06-15/', 'GetSessionToken'],
  ['iam', '2010-05-08', 'https://iam.amazonaws.com/doc/2010-05-08/', 'GetCredentialReport'],
  ['autoscaling', '2011-01-01', 'http://autoscaling.amazonaws.com/doc/2011-01-01/', 'DescribeTags'],
  [
    ...['elasticloadbalancing', '2015-12-01'],
    ...['http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/', 'DescribeLoadBalancers'],
  ],
] as const) {
  test(`the endpoint answers ${service} in its own form, signed or not`, async (t) => {
    const { port, url, lines } = await startEndpoint(t)
    const start = `<ErrorResponse xmlns="${namespace}">`
    const body = `Action=${action}&Version=${version}`
    const unsigned = await (await fetch(url, { method: 'POST', body })).text()
    assert.ok(unsigned.startsWith(start), unsigned)
    assert.equal(codeIn(unsigned), 'MissingAuthenticationToken')
    const signed = await (await call(port, { service, body })).text()
    assert.ok(signed.startsWith(start), signed)
    assert.equal(codeIn(signed), 'UnsupportedOperation')
    assert.equal(auditOf(lines, action)['service'], service)
  })
}

test('the endpoint tells the log, and not the caller, why a handler broke', async (t) => {
  const { port, lines } = await startEndpoint(t)
  const xml = await (await call(port, { body: `Action=DescribeVpcs&${V}` })).text()
  assert.doesNotMatch(xml, /secret of the cloud/)
  const line = lines.find(({ level }) => level === 'error')
  assert.match(String(line?.fields['error']), /secret of the cloud/)
})

test('the audit line has who, what and how it ended, and no secret or signature', async (t) => {
  const { port, lines } = await startEndpoint(t)
  await (await call(port, { body: `Action=DeleteVpc&VpcId=vpc-secret&${V}` })).text()
  const { requestId: _, ms, ...audit } = auditOf(lines, 'DeleteVpc')
  assert.deepEqual(audit, {
    service: 'ec2',
    action: 'DeleteVpc',
    account: CALLER.account,
    accessKeyId: KEY.accessKeyId,
    sourceIp: '127.0.0.1',
    code: 'OK',
    status: 200,
  })
  assert.equal(typeof ms, 'number')
  assert.doesNotMatch(JSON.stringify(lines), /vpc-secret|not\/a\+secret|[0-9a-f]{64}/)
})

test('a handler gets the caller, the time, and the parameters that are its own', async (t) => {
  const nowMs = Date.now()
  const clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const { port, contexts } = await startEndpoint(t, { clock })
  const body = `Action=RunInstances&MinCount=1&MaxCount=2&ClientToken=t&${V}`
  const response = await call(port, { body, atMs: nowMs })
  assert.match(
    await response.text(),
    /<reservationId>r-1<\/reservationId><instancesSet><\/instances/,
  )
  const [context] = contexts
  assert.deepEqual(context?.caller, CALLER)
  assert.equal(context?.nowMs, nowMs)
  assert.equal(context?.requestId, response.headers.get('x-amzn-requestid'))
  const own = { MinCount: '1', MaxCount: '2', ClientToken: 't' }
  assert.deepEqual(Object.fromEntries(context?.parameters ?? []), own)
})

test('the metrics count calls by action and code, and unknown actions as one', async (t) => {
  const { port, metrics } = await startEndpoint(t)
  for (const action of ['DescribeRegions', 'Nonsense1', 'Nonsense2']) {
    await (await call(port, { body: `Action=${action}&${V}` })).text()
  }
  const { text: scraped } = await metrics.scrape()
  const of = (labels: string) => `mallee_api_requests_total{service="ec2",${labels}}`
  assert.ok(scraped.includes(`${of('action="DescribeRegions",code="OK"')} 1`), scraped)
  assert.ok(scraped.includes(`${of('action="unknown",code="InvalidAction"')} 2`), scraped)
  assert.doesNotMatch(scraped, /Nonsense/)
})
