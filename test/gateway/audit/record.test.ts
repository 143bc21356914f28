// Records of the audit log: who, what, how it ended, as CloudTrail has them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AuditedCall, auditRecord, isAudited } from '../../../gateway/audit/record.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type { CallerSession } from '../../../gateway/aws/handlers.ts'

const ACCOUNT = '123456789012'
const ROOT = {
  account: ACCOUNT,
  userArn: `arn:aws:iam::${ACCOUNT}:root`,
  userId: ACCOUNT,
  accessKeyId: 'AKIA1',
}
const SESSION: CallerSession = {
  issuedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  expiresAtMs: Date.UTC(2026, 0, 2, 4, 4, 5),
  ...{ policy: '', policyArns: [], tags: {}, transitiveTagKeys: [], sourceIdentity: 'ann' },
}
const CALL: AuditedCall = {
  service: 'ec2',
  action: 'RunInstances',
  caller: ROOT,
  sourceIp: '::ffff:192.0.2.7',
  userAgent: 'aws-cli/2',
  requestId: 'request-1',
  endedAtMs: Date.UTC(2026, 10, 26, 8, 0, 1, 999),
  input: { ImageId: 'ami-1', UserData: 'c2VjcmV0' },
  output: { ReservationId: 'r-1', Instances: [{ InstanceId: 'i-1' }] },
  error: null,
}

function record(change: Partial<AuditedCall>, roleArn: string | null = null) {
  const parts = { region: 'mallee-1', eventId: () => 'event-1', issuerArnOf: () => roleArn }
  return auditRecord(parts, { ...CALL, ...change }) as Record<string, unknown>
}

test('auditRecord of a call that went well has all that CloudTrail requires', () => {
  assert.deepEqual(record({}), {
    eventVersion: '1.08',
    userIdentity: {
      ...{ type: 'Root', principalId: ACCOUNT, arn: ROOT.userArn },
      ...{ accountId: ACCOUNT, accessKeyId: 'AKIA1' },
    },
    eventTime: '2026-11-26T08:00:01Z',
    eventSource: 'ec2.amazonaws.com',
    eventName: 'RunInstances',
    awsRegion: 'mallee-1',
    sourceIPAddress: '192.0.2.7',
    userAgent: 'aws-cli/2',
    requestParameters: { imageId: 'ami-1', userData: '<sensitiveDataRemoved>' },
    responseElements: {
      ...{ requestId: 'request-1', reservationId: 'r-1', instances: [{ instanceId: 'i-1' }] },
    },
    requestID: 'request-1',
    eventID: 'event-1',
    readOnly: false,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
  })
})

test('auditRecord of an empty answer says so in the way of its service', () => {
  const { responseElements } = record({ action: 'DeleteVpc', output: {} })
  assert.deepEqual(responseElements, { requestId: 'request-1', _return: true })
  assert.equal(
    record({ service: 'iam', action: 'DeleteUser', output: {} })['responseElements'],
    null,
  )
})

for (const [service, error, code] of [
  ['ec2', new ApiError('InvalidVpcID.NotFound', 'no vpc'), 'Client.InvalidVpcID.NotFound'],
  ['ec2', new ApiError('InternalError', 'no vpc', 500), 'Server.InternalError'],
  [...['ec2', new ApiError('RequestLimitExceeded', 'no vpc', 503)], 'Client.RequestLimitExceeded'],
  ['iam', new ApiError('NoSuchEntity', 'no vpc', 404), 'NoSuchEntity'],
] as const) {
  test(`auditRecord of a call refused with ${error.code} by ${service} has ${code}`, () => {
    const made = record({ service, error, input: null })
    assert.deepEqual([made['errorCode'], made['errorMessage']], [code, 'no vpc'])
    assert.deepEqual([made['requestParameters'], made['responseElements']], [null, null])
  })
}

test('auditRecord names a user by the last part of its path', () => {
  const userArn = `arn:aws:iam::${ACCOUNT}:user/staff/it/ann`
  const caller = { ...ROOT, userArn, userId: 'AIDA1' }
  assert.deepEqual(record({ caller })['userIdentity'], {
    ...{ type: 'IAMUser', principalId: 'AIDA1', arn: userArn, accountId: ACCOUNT },
    ...{ accessKeyId: 'AKIA1', userName: 'ann' },
  })
  const attributes = { creationDate: '2026-01-02T03:04:05Z', mfaAuthenticated: 'false' }
  const identity = record({ caller: { ...caller, session: SESSION } })['userIdentity'] as object
  assert.deepEqual('sessionContext' in identity && identity.sessionContext, {
    ...{ attributes, sourceIdentity: 'ann' },
  })
})

for (const [what, roleArn, want] of [
  ['that is there', `arn:aws:iam::${ACCOUNT}:role/svc/web`, `arn:aws:iam::${ACCOUNT}:role/svc/web`],
  ['that is gone', null, `arn:aws:iam::${ACCOUNT}:role/web`],
] as const) {
  test(`auditRecord of a session of a role ${what} names the role`, () => {
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/web/i-1`
    const caller = { ...ROOT, userArn: arn, userId: 'AROA1:i-1', session: SESSION }
    assert.deepEqual(record({ caller }, roleArn)['userIdentity'], {
      type: 'AssumedRole',
      ...{ principalId: 'AROA1:i-1', arn, accountId: ACCOUNT, accessKeyId: 'AKIA1' },
      sessionContext: {
        sessionIssuer: {
          ...{ type: 'Role', principalId: 'AROA1', arn: want, accountId: ACCOUNT },
          userName: 'web',
        },
        attributes: { creationDate: '2026-01-02T03:04:05Z', mfaAuthenticated: 'false' },
        sourceIdentity: 'ann',
      },
    })
  })
}

for (const [action, audited, readOnly] of [
  ['RunInstances', true, false],
  ['GenerateCredentialReport', true, false],
  ['ChangePassword', true, false],
  ['AssumeRole', true, true],
  ['GetSessionToken', true, true],
  ['DescribeInstances', false, false],
  ['GetCallerIdentity', false, false],
  ['ListUsers', false, false],
  ['SimulatePrincipalPolicy', false, false],
  ['DecodeAuthorizationMessage', false, false],
] as const) {
  test(`isAudited says ${audited} of ${action}`, () => {
    assert.equal(isAudited(action), audited)
    if (audited) assert.equal(record({ action })['readOnly'], readOnly)
  })
}
