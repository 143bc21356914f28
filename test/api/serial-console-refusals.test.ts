// Requests for a serial console with each part wrong in turn, and callers whom policies refuse or
// let. Nothing of them may reach a host, and the next good one must have its session.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type ClientRequestArgs, type IncomingMessage, request } from 'node:http'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CreateTagsCommand, EC2Client, EnableSerialConsoleAccessCommand } from '@aws-sdk/client-ec2'
import { IAM } from '@aws-sdk/client-iam'
import { STS } from '@aws-sdk/client-sts'
import { WebSocket } from 'ws'
import { exec } from '../../common/exec.ts'
import { filesOf } from '../../gateway/files.ts'
import { until } from '../../sandbox/until.ts'
import { presignedQuery, signedHeadersOf, type Wish } from '../gateway/http/sign.ts'
import { startCloud } from '../support/cloud.ts'
import {
  leave,
  type SerialUser,
  type SerialWish,
  serialRefusal,
  serialUser,
  serialWish,
  whenFree,
} from '../support/serial-client.ts'
import { addHost, connected } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, run } from './support.ts'

const MINUTE_MS = 60_000
const SERVICE = 'ec2-instance-connect'
const PERMISSION = `${SERVICE}:SendSerialConsoleSSHPublicKey`
/** More than an account may have consoles at once. */
const COUNT = 21

const cloud = await startCloud({ after })
const host = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc', 'nc'] })
await connected(cloud, [host])
const ec2 = cloud.ec2()
const ids = idsOf(await run(ec2, { ImageId: await makeImage(cloud, ec2), count: COUNT }))
const [id = '', tagged = ''] = ids
await reach(ec2, ids, 'running')
await ec2.send(new EnableSerialConsoleAccessCommand())
await ec2.send(
  new CreateTagsCommand({ Resources: [tagged], Tags: [{ Key: 'team', Value: 'web' }] }),
)
const port = cloud.config.apiPort
const endpoint = `http://127.0.0.1:${port}`
const other = await cloud.local<{ accessKeyId: string; secretAccessKey: string; account: string }>({
  ...{ method: 'POST', path: '/v1/accounts' },
  body: { name: 'other' },
})

const WRONG: readonly [what: string, wish: Omit<SerialWish, 'instance'>, number, string][] = [
  ['an unknown key', { accessKeyId: 'AKIANOBODY0000000000' }, 403, 'UnrecognizedClientException'],
  ['another secret', { secret: 'wrong' }, 403, 'InvalidSignatureException'],
  ['16 minutes late', { atMs: -16 * MINUTE_MS }, 403, 'InvalidSignatureException'],
  ['16 minutes early', { atMs: 16 * MINUTE_MS }, 403, 'InvalidSignatureException'],
  ['the service of EC2', { service: 'ec2' }, 403, 'InvalidArgsException'],
  ['another region', { region: 'us-east-1' }, 403, 'InvalidArgsException'],
  ['host not signed', { signedHeaders: ['x-amz-date'] }, 400, 'IncompleteSignatureException'],
  [
    'a session that is none',
    { headers: { 'x-amz-security-token': 'x' } },
    403,
    'UnrecognizedClientException',
  ],
  [
    'another path than signed',
    { at: '/serial-console/i-01234567' },
    403,
    'InvalidSignatureException',
  ],
  ['another parameter', { query: 'port=1' }, 400, 'InvalidArgsException'],
  ['another origin', { unsigned: { origin: 'http://evil.example' } }, 403, 'InvalidArgsException'],
  ['an origin that is none', { unsigned: { origin: 'null' } }, 403, 'InvalidArgsException'],
]

for (const [what, wish, status, code] of WRONG) {
  test(`a request with ${what} is refused`, async () => {
    const atMs = wish.atMs === undefined ? {} : { atMs: Date.now() + wish.atMs }
    const refusal = await serialRefusal(serialWish(cloud, { instance: id, ...wish, ...atMs }))
    assert.deepEqual([refusal.status, refusal.code], [status, code], refusal.message)
  })
}

for (const [what, instance, status, code] of [
  ['nobody’s', 'i-0123456789abcdef0', 404, 'EC2InstanceNotFoundException'],
  ['no id', 'i-XYZ', 400, 'InvalidArgsException'],
  ['no id at all', '', 400, 'InvalidArgsException'],
  ['an id and more', `${id}/port0`, 400, 'InvalidArgsException'],
] as const) {
  test(`an instance id that is ${what} is refused`, async () => {
    const refusal = await serialRefusal(serialWish(cloud, { instance }))
    assert.deepEqual([refusal.status, refusal.code], [status, code], refusal.message)
  })
}

for (const [what, change, status] of [
  ['no upgrade', { upgrade: undefined, connection: 'close' }, 426],
  ['an upgrade to something else', { upgrade: 'h2c' }, 426],
  ['an old version', { 'sec-websocket-version': '8' }, 426],
  ['no version', { 'sec-websocket-version': undefined }, 426],
  ['no key', { 'sec-websocket-key': undefined }, 400],
  ['a short key', { 'sec-websocket-key': 'c2hvcnQ=' }, 400],
  ['a protocol that is none', { 'sec-websocket-protocol': 'a b' }, null],
] as const) {
  test(`a handshake with ${what} is refused`, async () => {
    const path = `/serial-console/${id}`
    const { accessKeyId, secretAccessKey: secret } = cloud.init
    const who = { accessKeyId, secret, region: 'mallee-1', service: SERVICE }
    const usual = {
      ...signedHeadersOf(port, { method: 'GET', path, ...who }),
      ...{ connection: 'Upgrade', upgrade: 'websocket' },
      ...{ 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' },
    }
    const headers = Object.entries({ ...usual, ...change }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    )
    const answer = await answered({ path, headers: Object.fromEntries(headers) })
    if (status === null) return assert.notEqual(answer?.statusCode, 101)
    assert.equal(answer?.statusCode, status)
    assert.equal(answer?.headers['x-amzn-errortype'], 'InvalidArgsException')
    assert.match(answer?.headers['x-amzn-requestid'] as string, /^[\da-f-]{36}$/)
  })
}

test('who is refused and does not hang up is hung up on', async () => {
  const socket = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true })
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket'
  socket.write(`GET /serial-console/${id} HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n\r\n`)
  let said = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    said += text
  })
  await once(socket, 'end')
  assert.match(said, /^HTTP\/1.1 426 Upgrade Required\r\n(.*\r\n)*sec-websocket-version: 13\r\n/)
  // Until nobody is on the other side any more.
  const failed = once(socket, 'error')
  const timer = setInterval(() => socket.write('still here'), 100)
  const [error] = await failed.finally(() => clearInterval(timer))
  assert.match(error.code, /EPIPE|ECONNRESET/)
})

test('an upgrade of any other path is the call that it is without', async () => {
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' }
  const answer = await answered({ path: '/', headers })
  assert.equal(answer?.statusCode, 403)
  assert.match(String(answer?.headers['content-type']), /^text\/xml/)
})

test('policies decide, by the instance and its tags', async () => {
  const iam = new IAM({ endpoint, region: 'us-east-1', credentials: cloud.init })
  const sts = new STS({ endpoint, region: 'mallee-1', credentials: cloud.init })
  cloud.onEnd(async () => [iam, sts].forEach((client) => void client.destroy()))
  await iam.createUser({ UserName: 'ann' })
  const { AccessKey } = await iam.createAccessKey({ UserName: 'ann' })
  const ann = {
    accessKeyId: AccessKey?.AccessKeyId ?? '',
    secretAccessKey: AccessKey?.SecretAccessKey ?? '',
  }
  const asAnn = (instance: string) => serialWish(cloud, { instance }, ann)
  const refusal = await serialRefusal(asAnn(tagged))
  assert.deepEqual([refusal.status, refusal.code], [403, 'AccessDeniedException'])
  const arn = `arn:aws:ec2:mallee-1:${cloud.init.account}:instance/${tagged}`
  assert.match(refusal.message, new RegExp(`perform: ${PERMISSION} on resource: ${arn} because`))
  const Condition = { StringEquals: { 'ec2:ResourceTag/team': 'web' } }
  const Statement = [{ Effect: 'Allow', Action: PERMISSION, Resource: '*', Condition }]
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'console', PolicyDocument })
  await leave(await serialUser(asAnn(tagged)))
  assert.equal((await serialRefusal(asAnn(id))).code, 'AccessDeniedException')
  const { Credentials } = await sts.getSessionToken({})
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {}
  const temporary = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey }
  const headers = { 'x-amz-security-token': SessionToken }
  await leave(await serialUser(serialWish(cloud, { instance: id, headers }, temporary)))
})

test('another account has no way to an instance', async () => {
  const { code } = await serialRefusal(serialWish(cloud, { instance: id }, other))
  assert.equal(code, 'SerialConsoleAccessDisabledException')
  const theirs = new EC2Client({ endpoint, region: 'mallee-1', credentials: other })
  cloud.onEnd(async () => theirs.destroy())
  await theirs.send(new EnableSerialConsoleAccessCommand())
  const refusal = await serialRefusal(serialWish(cloud, { instance: id }, other))
  assert.deepEqual([refusal.status, refusal.code], [404, 'EC2InstanceNotFoundException'])
})

test('a presigned URL opens a session, for a while', async () => {
  const url = await presignedByBotocore()
  assert.match(url, new RegExp(`^ws://127.0.0.1:${port}/serial-console/${id}\\?X-Amz-Algorithm=`))
  await leave(await serialUser(new WebSocket(url)))
  await leave(await serialUser(new WebSocket(url, { headers: { origin: endpoint } })))
  const changed = new WebSocket(url.replace(id, tagged))
  assert.equal((await serialRefusal(changed)).code, 'InvalidSignatureException')
  await leave(await serialUser(presigned(300)))
  const over = await serialRefusal(presigned(60, { atMs: Date.now() - 2 * MINUTE_MS }))
  assert.deepEqual([over.status, over.code], [403, 'InvalidSignatureException'])
  const far = await serialRefusal(presigned(301))
  assert.deepEqual([far.status, far.code], [400, 'InvalidArgsException'])
})

test('messages that are text or too long end the session', async () => {
  const texter = await connect(id)
  texter.socket.send('text')
  assert.equal((await texter.closed).code, 1003)
  const longer = await whenFree(() => connect(id))
  longer.socket.on('error', () => undefined)
  longer.socket.send(Buffer.alloc((64 << 10) + 1))
  assert.equal((await longer.closed).code, 1009)
  await leave(await whenFree(() => connect(id)))
})

test('an account has so many consoles at once and no more, and the audit log has them', async () => {
  const users: SerialUser[] = []
  for (const instance of ids.slice(1)) users.push(await connect(instance))
  const refusal = await serialRefusal(serialWish(cloud, { instance: id }))
  assert.deepEqual([refusal.status, refusal.code], [429, 'ThrottlingException'])
  assert.match(refusal.message, /20 of your account/)
  users[0]?.send('abc')
  await users[0]?.hears('abc')
  for (const user of users) await leave(user)
  await leave(await whenFree(() => connect(id)))
  const records = async () =>
    (await readFile(filesOf(cloud.config.stateDir).audit, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ eventSource }) => eventSource === `${SERVICE}.amazonaws.com`)
  await until('its end is written', async () => {
    const last = (await records()).at(-1)
    return last.eventName === 'EndSerialConsoleSession' && last.requestParameters.instanceId === id
  })
  const all = await records()
  const denied = all.find(({ errorCode }) => errorCode === 'AccessDeniedException')
  assert.equal(denied.eventName, 'StartSerialConsoleSession')
  assert.equal(denied.userIdentity.userName, 'ann')
  const ended = all.find(
    ({ eventName, requestParameters }) =>
      eventName === 'EndSerialConsoleSession' && requestParameters.instanceId === ids[2],
  )
  assert.equal(ended.responseElements.reason, 'the user left')
  const busy = all.filter(({ responseElements }) => responseElements?.bytesIn === 3)
  assert.deepEqual(
    busy.map(({ responseElements: { bytesOut } }) => bytesOut),
    [3],
  )
})

function connect(instance: string): Promise<SerialUser> {
  return serialUser(serialWish(cloud, { instance }))
}

/** Null when the connection ended without an answer. */
async function answered(options: ClientRequestArgs): Promise<IncomingMessage | null> {
  const asked = request({ host: '127.0.0.1', port, ...options })
  asked.end()
  const [answer] = (await Promise.race([
    once(asked, 'response'),
    once(asked, 'upgrade'),
    once(asked, 'close'),
  ]).catch(() => [])) as [IncomingMessage?]
  answer?.resume()
  answer?.socket.end()
  return answer ?? null
}

/** As the page about serial consoles does it. */
async function presignedByBotocore(): Promise<string> {
  const page = await readFile(join(import.meta.dirname, '../../docs/serial-console.md'), 'utf8')
  const [, example = ''] = /```python\n(.*?)with /s.exec(page) ?? []
  const program = example
    .replace(', websockets.sync.client', '')
    .replace('http://GATEWAY:8773', endpoint)
    .replace('au-mallee-1', 'mallee-1')
    .replace('i-0123456789abcdef0', id)
  const env = {
    AWS_ACCESS_KEY_ID: cloud.init.accessKeyId,
    AWS_SECRET_ACCESS_KEY: cloud.init.secretAccessKey,
  }
  const input = `${program}\nprint(request.url.replace("http", "ws", 1))\n`
  const { stdout } = await exec(['/usr/bin/python3', '-'], { input, env })
  return stdout.trim()
}

function presigned(seconds: number, more: Wish = {}): WebSocket {
  const { accessKeyId, secretAccessKey: secret } = cloud.init
  const who = { accessKeyId, secret, region: 'mallee-1', service: SERVICE }
  const path = `/serial-console/${id}`
  const query = presignedQuery(port, { ...who, path, ...more }, seconds)
  return new WebSocket(`ws://127.0.0.1:${port}${path}?${query}`)
}
