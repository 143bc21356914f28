// What the metadata service says, without sockets: the tree in EC2's formats, tokens, refusals.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type Asked, answer } from '../../../../cluster-agent/cc/metadata/answer.ts'
import { openTokens, Tokens } from '../../../../cluster-agent/cc/metadata/tokens.ts'
import { EphemeralDiskSchema, InstanceSchema } from '../../../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceProfileSchema } from '../../../../proto/gen/mallee/v1/tenants_pb.js'
import { VolumeAttachmentSchema } from '../../../../proto/gen/mallee/v1/volumes_pb.js'
import { DOCUMENT, instanceOf } from './support.ts'

const TOKENS = new Tokens(Buffer.alloc(32, 7))
const NOW_MS = 1_800_000_000_000
const TTL = 'x-aws-ec2-metadata-token-ttl-seconds'
const TOKEN = 'x-aws-ec2-metadata-token'

function ask(url: string, change: Partial<Asked> = {}, instance = instanceOf('i-1')) {
  const asked = { method: 'GET', url, headers: {}, overIpv6: false, nowMs: NOW_MS, ...change }
  return answer(TOKENS, instance, asked)
}

const META = '/latest/meta-data'
const NIC = `${META}/network/interfaces/macs/02:00:00:00:00:01`

for (const [url, want] of [
  ['/latest', 'dynamic\nmeta-data\nuser-data'],
  ['/2021-03-23/', 'dynamic\nmeta-data\nuser-data'],
  [`${META}/instance-id`, 'i-1'],
  [`${META}//instance-id/?x=1`, 'i-1'],
  [`${META}/block-device-mapping/`, 'ami\nroot'],
  [`${META}/hostname`, 'ip-10-0-1-10.mallee-1-a.internal'],
  [`${META}/local-ipv4`, '10.0.1.10'],
  [`${META}/public-ipv4`, '192.0.2.7'],
  [`${META}/public-keys/`, '0=my key'],
  [`${META}/public-keys/0`, 'openssh-key'],
  [`${META}/public-keys/0/openssh-key`, 'ssh-ed25519 AAAA me\n'],
  [`${META}/security-groups`, 'default\nweb'],
  [
    `${META}/placement/`,
    'availability-zone\navailability-zone-id\ngroup-name\npartition-number\nregion',
  ],
  [`${META}/placement/partition-number`, '2'],
  [`${META}/services/partition`, 'aws'],
  [`${META}/instance-life-cycle`, 'on-demand'],
  [`${META}/network/interfaces/macs/`, '02:00:00:00:00:01/'],
  [`${NIC}/local-ipv4s`, '10.0.1.10\n10.0.1.11'],
  [`${NIC}/ipv4-associations/192.0.2.7`, '10.0.1.10'],
  [`${NIC}/subnet-ipv6-cidr-blocks`, 'fd01::/64'],
  ['/latest/dynamic/', 'instance-identity/'],
  ['/latest/dynamic/instance-identity/', 'document\npkcs7\nrsa2048\nsignature'],
  ['/latest/dynamic/instance-identity/document', DOCUMENT],
  ['/latest/dynamic/instance-identity/signature', 'c2ln\nbg=='],
] as const) {
  test(`answer tells ${url}`, () => {
    const { status, type, body } = ask(url)
    assert.deepEqual({ status, type, body }, { status: 200, type: 'text/plain', body: want })
  })
}

test('answer lists what there is and nothing else', () => {
  const listed = String(ask(`${META}/`).body).split('\n')
  assert.ok(listed.includes('public-keys/') && listed.includes('network/'))
  assert.ok(!listed.includes('iam/') && !listed.includes('tags/'))
  const bare = instanceOf('i-1', { publicKey: '', interfaces: [], hasUserData: false })
  assert.ok(!String(ask(`${META}/`, {}, bare).body).includes('public'))
  assert.equal(ask('/latest/', {}, bare).body, 'dynamic\nmeta-data')
})

test('answer gives user data byte by byte', () => {
  const { type, body } = ask('/latest/user-data')
  assert.equal(type, 'application/octet-stream')
  assert.deepEqual(Buffer.from(body as Uint8Array), Buffer.from([0x1f, 0x8b, 0x00, 0xff]))
})

test('answer tells the block devices by what they are', () => {
  const DEVICES = `${META}/block-device-mapping`
  const instance = create(InstanceSchema, {
    ...instanceOf('i-1'),
    volumes: [
      create(VolumeAttachmentSchema, { deviceName: '/dev/sdg' }),
      create(VolumeAttachmentSchema, { deviceName: '/dev/xvda', boot: true }),
      create(VolumeAttachmentSchema, { deviceName: 'sdf' }),
    ],
    ephemeralDisks: [create(EphemeralDiskSchema, { name: 'ephemeral0', deviceName: '/dev/sdb' })],
  })
  const told = (name: string) => ask(`${DEVICES}/${name}`, {}, instance).body
  assert.equal(told(''), 'ami\nebs1\nebs2\nephemeral0\nroot')
  const names = ['ami', 'root', 'ebs1', 'ebs2', 'ephemeral0']
  assert.deepEqual(names.map(told), ['/dev/xvda', '/dev/xvda', 'sdf', 'sdg', 'sdb'])
})

test('answer shows tags when they are to be seen, their keys decoded', () => {
  const tagged = instanceOf('i-1', { tagsVisible: true, tags: { 'my name': 'x', 'a/b': 'y' } })
  assert.equal(ask(`${META}/tags/instance/`, {}, tagged).body, 'my name')
  assert.equal(ask(`${META}/tags/instance/my%20name`, {}, tagged).body, 'x')
})

test('answer tells what an instance acts as, and how', () => {
  const credentials = {
    ...{ accessKeyId: 'ASIAX', secretAccessKey: 'secret', sessionToken: 'token' },
    ...{ issuedAtMs: BigInt(NOW_MS), expiresAtMs: BigInt(NOW_MS + 21_600_000) },
  }
  const profile = { arn: 'arn:p', id: 'AIPA1', role: 'web', associatedAtMs: BigInt(NOW_MS) }
  const IAM = `${META}/iam`
  const told = (path: string, more: object) => {
    const message = create(InstanceProfileSchema, { ...profile, ...more })
    const instance = instanceOf('i-1', { profile: message })
    return ask(`${IAM}${path}`, {}, instance)
  }
  assert.equal(told('/', { credentials }).body, 'info\nsecurity-credentials/')
  assert.deepEqual(JSON.parse(String(told('/info', { credentials }).body)), {
    Code: 'Success',
    LastUpdated: '2027-01-15T08:00:00Z',
    InstanceProfileArn: 'arn:p',
    InstanceProfileId: 'AIPA1',
  })
  assert.equal(told('/security-credentials/', { credentials }).body, 'web')
  assert.deepEqual(JSON.parse(String(told('/security-credentials/web', { credentials }).body)), {
    Code: 'Success',
    LastUpdated: '2027-01-15T08:00:00Z',
    Type: 'AWS-HMAC',
    AccessKeyId: 'ASIAX',
    SecretAccessKey: 'secret',
    Token: 'token',
    Expiration: '2027-01-15T14:00:00Z',
  })
  const untrusted = told('/security-credentials/web', { untrusted: true })
  assert.equal(JSON.parse(String(untrusted.body)).Code, 'AssumeRoleUnauthorizedAccess')
  assert.equal(told('/security-credentials/', {}).status, 404)
  assert.equal(told('/security-credentials/', { role: '', credentials }).status, 404)
})

for (const url of [
  '/latest/nothing',
  '/latest/meta-data/iam/security-credentials/',
  '/latest/meta-data/events/maintenance/history',
  '/latest/meta-data/instance-id/more',
  '/latest/meta-data/__proto__',
  '/latest/meta-data/constructor',
  '/1999-01-01/meta-data',
  '/latest/../latest/meta-data',
]) {
  test(`answer has nothing at ${url}`, () => {
    const { status, type, body } = ask(url)
    assert.equal(status, 404)
    assert.equal(type, 'text/html')
    assert.match(String(body), /<title>404 - Not Found<\/title>/)
  })
}

const put = (headers: Asked['headers'], change: Partial<Asked> = {}) =>
  ask('/latest/api/token', { method: 'PUT', headers, ...change })

for (const [what, given, status] of [
  ['a good TTL', { [TTL]: '21600' }, 200],
  ['no TTL', {}, 400],
  ['a TTL of 0', { [TTL]: '0' }, 400],
  ['a TTL too long', { [TTL]: '21601' }, 400],
  ['a TTL that is none', { [TTL]: '1e3' }, 400],
  ['two TTLs', { [TTL]: '60, 60' }, 400],
  ['X-Forwarded-For', { [TTL]: '60', 'x-forwarded-for': '' }, 403],
  ['a body', { [TTL]: '60', 'content-length': '1' }, 400],
  ['chunks', { [TTL]: '60', 'transfer-encoding': 'chunked' }, 400],
] as const) {
  test(`answer to a token request with ${what} is ${status}`, () => {
    assert.equal(put(given).status, status)
  })
}

for (const method of ['GET', 'POST', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']) {
  test(`answer gives no token to ${method}`, () => {
    assert.equal(put({ [TTL]: '60' }, { method }).status, 405)
  })
}

test('answer takes a token until it ends, of its own instance only', () => {
  const required = instanceOf('i-1', { tokensOptional: false })
  const given = put({ [TTL]: '60' })
  assert.equal(given.headers[TTL], '60')
  const token = String(given.body)
  const get = (value: string | undefined, nowMs: number, instance = required) =>
    ask(`${META}/instance-id`, { nowMs, headers: { [TOKEN]: value } }, instance)
  assert.equal(get(undefined, NOW_MS).status, 401)
  assert.deepEqual([get(token, NOW_MS).status, get(token, NOW_MS).body], [200, 'i-1'])
  assert.equal(get(token, NOW_MS + 59_000).headers[TTL], '1')
  assert.equal(get(token, NOW_MS + 60_000).status, 401)
  assert.equal(get(token, NOW_MS, instanceOf('i-2')).status, 401)
  const swapped = token.startsWith('A') ? `B${token.slice(1)}` : `A${token.slice(1)}`
  for (const wrong of ['', 'x', `${token}A`, swapped, `${token}, ${token}`]) {
    assert.equal(get(wrong, NOW_MS).status, 401, wrong)
    assert.equal(get(wrong, NOW_MS, instanceOf('i-1')).status, 401, 'also where none is needed')
  }
})

for (const [what, change, asked, status] of [
  ['disabled', { enabled: false }, {}, 403],
  ['asked over IPv6 without it', {}, { overIpv6: true }, 403],
  ['asked over IPv6 with it', { ipv6: true }, { overIpv6: true }, 200],
  ['asked as a proxy', {}, { url: 'http://169.254.169.254/latest/' }, 400],
  ['asked with a very long target', {}, { url: `/${'a'.repeat(3000)}` }, 400],
  ['asked with bad escapes', {}, { url: '/latest/%zz' }, 400],
  ['posted to', {}, { method: 'POST' }, 405],
] as const) {
  test(`answer of a service that is ${what} is ${status}`, () => {
    assert.equal(ask('/latest/', asked, instanceOf('i-1', change)).status, status)
  })
}

test('answer to nobody is nothing', () => {
  const asked = { method: 'GET', url: '/', headers: {}, overIpv6: false, nowMs: NOW_MS }
  assert.equal(answer(TOKENS, null, asked).status, 404)
})

test('openTokens keeps its key to itself, and tokens over a restart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-tokens-'))
  try {
    const file = join(dir, 'metadata.key')
    const token = (await openTokens(file)).issue('i-1', 60, NOW_MS)
    assert.equal((await openTokens(file)).check('i-1', token, NOW_MS), 60)
    assert.equal(TOKENS.check('i-1', token, NOW_MS), null, 'another key')
    assert.equal(statSync(file).mode & 0o777, 0o600)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
