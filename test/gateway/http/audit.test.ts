// The audit log through the endpoint: which calls it has, and that it has them before their answer.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { createAudit } from '../../../gateway/audit/audit.ts'
import { AuditFile } from '../../../gateway/audit/file.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { call, codeIn } from './sign.ts'
import { CALLER, KEY, REGION, startEndpoint } from './support.ts'

const V = 'Version=2016-11-15'
const SECRET = Buffer.from('#!/bin/sh\necho hunter2\n').toString('base64')

async function start(t: TestContext, path?: string) {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-audit-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const metrics = createMetrics()
  const parts = { log: silentLog, metrics }
  const where = path ?? join(dir, 'audit.jsonl')
  const file = new AuditFile({ ...parts, path: where, maxBytes: 1 << 20, files: 2 })
  t.after(() => file.close())
  const eventId = () => crypto.randomUUID()
  const audit = createAudit({ ...parts, file, region: REGION, eventId, issuerArnOf: () => null })
  const { port } = await startEndpoint(t, { audit, metrics })
  const records = async (): Promise<Record<string, unknown>[]> =>
    (await readFile(where, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { port, metrics, records }
}

test('a call that changes something is in the audit log when it is answered', async (t) => {
  const { port, records } = await start(t)
  const headers = { 'user-agent': 'a "client"' }
  const body = `Action=RunInstances&${V}&MinCount=1&MaxCount=1&ImageId=ami-1&UserData=${encodeURIComponent(SECRET)}`
  const answer = await call(port, { body, headers })
  assert.equal(answer.status, 200)
  const [record, ...more] = await records()
  assert.deepEqual(more, [])
  const { eventID, eventTime, ...rest } = record ?? {}
  assert.match(String(eventID), /^[0-9a-f-]{36}$/)
  assert.match(String(eventTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  const requestID = answer.headers.get('x-amzn-requestid')
  assert.deepEqual(rest, {
    eventVersion: '1.08',
    userIdentity: {
      ...{ type: 'Root', principalId: CALLER.userId, arn: CALLER.userArn },
      ...{ accountId: CALLER.account, accessKeyId: KEY.accessKeyId },
    },
    ...{ eventSource: 'ec2.amazonaws.com', eventName: 'RunInstances', awsRegion: REGION },
    ...{ sourceIPAddress: '127.0.0.1', userAgent: headers['user-agent'] },
    requestParameters: {
      ...{ minCount: 1, maxCount: 1, imageId: 'ami-1', userData: '<sensitiveDataRemoved>' },
    },
    responseElements: { requestId: requestID, reservationId: 'r-1', instances: [] },
    ...{ requestID, readOnly: false, eventType: 'AwsApiCall', managementEvent: true },
    ...{ recipientAccountId: CALLER.account, eventCategory: 'Management' },
  })
})

for (const [what, body, code] of [
  ['a dry run', `Action=DeleteVpc&${V}&VpcId=vpc-1&DryRun=true`, 'Client.DryRunOperation'],
  ['a bad parameter', `Action=RunInstances&${V}&MinCount=one`, 'Client.InvalidParameterValue'],
  ['what nobody implements', `Action=CreateFpgaImage&${V}`, 'Client.'],
  [
    'a store that fails',
    `Action=CreateTags&${V}&ResourceId.1=i-1&Tag.1.Key=a`,
    'Server.Unavailable',
  ],
] as const) {
  test(`the audit log has ${what} with its code`, async (t) => {
    const { port, records } = await start(t)
    const answer = await call(port, { body })
    assert.notEqual(answer.status, 200)
    const [record] = await records()
    assert.equal(record?.['responseElements'], null)
    assert.ok(String(record?.['errorCode']).startsWith(code), String(record?.['errorCode']))
  })
}

test('the audit log has no reads, no unknown actions and nobody without a good signature', async (t) => {
  const { port, records } = await start(t)
  for (const [wish, status] of [
    [{ body: `Action=DescribeRegions&${V}` }, 200],
    [{ body: `Action=Nonsense&${V}` }, 400],
    [{ body: `Action=DeleteVpc&${V}&VpcId=vpc-1`, secret: 'wrong' }, 403],
    [{ body: `Action=DeleteVpc&${V}&VpcId=vpc-1`, accessKeyId: 'AKIANOBODY0000000001' }, 401],
  ] as const) {
    assert.equal((await call(port, wish)).status, status)
  }
  await assert.rejects(records(), { code: 'ENOENT' })
})

test('a call is answered and its record counted as lost when the file cannot be written', async (t) => {
  const { port, metrics } = await start(t, join(tmpdir(), 'mallee-no-such-folder', 'audit.jsonl'))
  const answer = await call(port, { body: `Action=DeleteVpc&${V}&VpcId=vpc-1` })
  assert.equal(answer.status, 200)
  assert.equal(codeIn(await answer.text()), '')
  const { text } = await metrics.scrape()
  assert.match(text, /^mallee_audit_records_total\{outcome="lost"\} 1$/m)
})
