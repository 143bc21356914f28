// The audit log has what operators change, refused or not, and none of the secrets that they get.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { createOperatorAudit } from '../../../gateway/audit/operator.ts'
import { type Document, operationsOf } from '../../support/document.ts'
import { testSealer } from '../../support/sealer.ts'
import { ACCOUNT, openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

const HIDDEN = 'HIDDEN_DUE_TO_SECURITY_REASONS'

type Record = Readonly<{ [name: string]: unknown }>

async function audited(t: Parameters<typeof openCloud>[0], write?: () => Promise<void>) {
  const records: Record[] = []
  const outcomes: string[] = []
  const audit = createOperatorAudit({
    ...{ region: 'mallee-1', eventId: () => 'an id', log: silentLog },
    file: { write: write ?? (async (record) => void records.push(record as Record)) },
    metrics: { auditRecords: (outcome) => void outcomes.push(outcome) },
  })
  const cloud = await openCloud(t, { racks: ['a'] })
  const api = localApi(t, cloud, { audit, sealer: await testSealer(t) })
  return { ...api, records, outcomes }
}

test('what changes something is written down with who, what, and how it ended', async (t) => {
  const { app, call, records } = await audited(t)
  const url = `/v1/accounts/${ACCOUNT}/quotas/vpcs`
  const headers = { 'mallee-user': 'ann', 'user-agent': 'mallee/1' }
  await app.inject({ method: 'PUT', url, payload: { value: 3 }, headers })
  await call('POST', '/v1/racks/nobody/drain', { instances: 'stop' })
  await call('POST', '/v1/racks/a/hosts/a1/cordon')
  await call('PUT', url, { value: -1 })
  await call('GET', '/v1/hosts')
  await call('POST', '/v1/why', {
    from: '192.0.2.1',
    to: '192.0.2.2',
    protocol: 'icmp',
    port: null,
  })
  assert.deepEqual(
    records.map((one) => [one['eventName'], one['errorCode'] ?? '']),
    [
      ['SetQuota', ''],
      ['DrainRack', 'RackNotFound'],
      ['CordonHost', ''],
      ['SetQuota', 'BadArgument'],
    ],
  )
  const [set, drain] = records
  const { eventTime, ...rest } = set ?? {}
  assert.match(String(eventTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.deepEqual(rest, {
    ...{ eventVersion: '1.08', userIdentity: { type: 'Operator', userName: 'ann' } },
    ...{ eventSource: 'operator.mallee', eventName: 'SetQuota', awsRegion: 'mallee-1' },
    ...{ sourceIPAddress: 'local', userAgent: 'mallee/1' },
    requestParameters: { account: ACCOUNT, name: 'vpcs', value: 3 },
    responseElements: {
      ...{ id: 'vpcs', name: 'VPCs per Region', value: 3, default: 5_000, used: 1 },
    },
    ...{ eventID: 'an id', readOnly: false, eventType: 'MalleeOperatorCall' },
    ...{ managementEvent: true, recipientAccountId: ACCOUNT, eventCategory: 'Management' },
  })
  assert.equal(drain?.['errorMessage'], 'there is no rack nobody')
  assert.deepEqual(drain?.['requestParameters'], { rack: 'nobody', instances: 'stop' })
  assert.equal(drain?.['responseElements'], null)
  assert.deepEqual(drain?.['userIdentity'], { type: 'Operator' })
})

test('secrets are hidden, and every member that is one is marked', async (t) => {
  const { app, call, records } = await audited(t)
  const account = await call('POST', '/v1/accounts', { name: 'lab' })
  const token = await call('POST', '/v1/tokens', { rack: 'a', roles: ['nc'], minutes: 5 })
  const secrets = [account.body['secretAccessKey'], token.body['token']] as string[]
  const text = JSON.stringify(records)
  assert.ok(secrets.every((secret) => secret.length > 20 && !text.includes(secret)))
  const [made, minted] = records.map((one) => one['responseElements'] as Record)
  assert.equal(made?.['secretAccessKey'], HIDDEN)
  assert.equal(made?.['accessKeyId'], account.body['accessKeyId'])
  assert.equal(minted?.['token'], HIDDEN)
  const document: Document = (await app.inject('/v1/openapi.json')).json()
  assert.ok(operationsOf(document).length > 30)
  const texts = JSON.stringify(document).matchAll(/"(\w+)":\{"type":"string"([^}]*)\}/g)
  const suspects = [...texts].filter(([, name = '']) => /secret|token|password/i.test(name))
  assert.ok(suspects.length >= 2)
  for (const [, name, keywords] of suspects) assert.match(keywords ?? '', /"password"/, name)
})

test('a record that cannot be written refuses nothing and is counted', async (t) => {
  const { call, outcomes } = await audited(t, () => Promise.reject(new Error('a full disk')))
  assert.equal((await call('POST', '/v1/racks/a/hosts/a1/cordon')).status, 200)
  assert.deepEqual(outcomes, ['lost'])
})
