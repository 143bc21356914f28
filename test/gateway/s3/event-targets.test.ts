// Targets of events as operators make them: what is taken, what is refused, and that secrets stay
// sealed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Events } from '../../../gateway/s3/events/delivery.ts'
import { type NewTarget, newTarget, openTarget } from '../../../gateway/s3/events/targets.ts'
import { testSealer } from '../../support/sealer.ts'
import { openCloud } from '../ec2/support.ts'
import { localApi } from '../local/support.ts'

const NOW_MS = 1_785_000_000_000
const HOOK: NewTarget = {
  ...{ name: 'hook', kind: 'webhook', url: 'https://hooks.example.com/s3?a=b' },
  ...{ account: '', secret: 'correct horse', maxLength: 0 },
}
const STREAM: NewTarget = {
  ...HOOK,
  ...{ kind: 'stream', url: 'redis://mallee@queue.example.com:7000/3/s3%2Fa' },
}

for (const [what, given, message] of [
  ['a name with a slash', { name: 'a/b' }, /"a\/b" is not 1 to 63/],
  ['no name', { name: '' }, /"" is not 1 to 63/],
  ['no URL', { url: 'hooks.example.com' }, /the URL is not a URL/],
  ['a URL that is too long', { url: `https://a/${'b'.repeat(2_048)}` }, /is not a URL/],
  ['another scheme', { url: 'ftp://hooks.example.com/' }, /is not an http: or https: URL/],
  ['a user', { url: 'https://me@hooks.example.com/' }, /with a user/],
  ['a stream of a webhook', { kind: 'stream' }, /is not redis:/],
  ['a stream without a name', { ...STREAM, url: 'redis://queue/3/' }, /is not redis:/],
  ['a stream in a database', { ...STREAM, url: 'redis://queue/db/s3' }, /is not redis:/],
  ['a stream with settings', { ...STREAM, url: 'redis://queue/3/s3?a=b' }, /is not redis:/],
  ['a socket', { ...STREAM, url: 'unix:/run/redis?db=0' }, /is not redis:/],
] as const) {
  test(`a target with ${what} is refused`, async (t) => {
    const sealer = await testSealer(t)
    const make = () => newTarget(sealer, { ...HOOK, ...given } as NewTarget, NOW_MS)
    assert.throws(make, { code: 'BadArgument', message })
  })
}

test('a password in a URL is refused without being said again', async (t) => {
  const sealer = await testSealer(t)
  const url = 'redis://me:hunter2@queue/0/s3'
  assert.throws(
    () => newTarget(sealer, { ...STREAM, url }, NOW_MS),
    ({ message }: Error) => /give a secret file/.test(message) && !message.includes('hunter2'),
  )
})

test('secrets are sealed in the record, for the target of that name only', async (t) => {
  const sealer = await testSealer(t)
  const record = newTarget(sealer, HOOK, NOW_MS)
  assert.ok(!JSON.stringify(record).includes(HOOK.secret))
  const { kind, name, url, secret } = HOOK
  assert.deepEqual(openTarget(sealer, record), { kind, name, url, secret })
  assert.throws(() => openTarget(sealer, { ...record, name: 'other' }), { code: 'BadMessage' })
  const stream = openTarget(sealer, newTarget(sealer, STREAM, NOW_MS))
  assert.ok(stream.kind === 'stream')
  const { host, port, db, username, password } = stream.address
  assert.deepEqual(
    [stream.stream, host, port, db, username, password],
    ['s3/a', 'queue.example.com', 7000, 3, 'mallee', HOOK.secret],
  )
})

test('operators make, see and delete targets', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const sealer = await testSealer(t)
  const trouble = { message: 'it answered 502', atMs: NOW_MS }
  const targetState: Events['stateOf'] = async () => ({ pending: 3, trouble })
  const { call } = localApi(t, cloud, { sealer, targetState })
  const made = await call('POST', '/v1/event-targets', HOOK)
  assert.equal(made.status, 200)
  assert.ok(!JSON.stringify(made.body).includes(HOOK.secret))
  const again = await call('POST', '/v1/event-targets', HOOK)
  assert.deepEqual([again.status, again.body['code']], [409, 'NameTaken'])
  const nobodys = { ...HOOK, name: 'x', account: '1' }
  assert.equal((await call('POST', '/v1/event-targets', nobodys)).body['code'], 'NotFound')
  const { body } = await call('GET', '/v1/event-targets/hook')
  const { arn, createdAtMs: _, ...shown } = body
  assert.match(String(arn), /^arn:aws:sns:[^:]+:<account>:hook$/)
  const { secret: __, ...told } = HOOK
  assert.deepEqual(shown, { ...told, hasSecret: true, buckets: [], pending: 3, trouble })
  assert.deepEqual((await call('GET', '/v1/event-targets')).body, { targets: [body] })
  assert.equal((await call('DELETE', '/v1/event-targets/hook')).status, 200)
  assert.equal((await call('DELETE', '/v1/event-targets/hook')).body['code'], 'NotFound')
})
