// The audit log of a whole gateway: real clients, a user and the session of a role.

import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { test } from 'node:test'
import { CreateKeyPairCommand, EC2 } from '@aws-sdk/client-ec2'
import { IAM } from '@aws-sdk/client-iam'
import { STS } from '@aws-sdk/client-sts'
import { filesOf } from '../../gateway/files.ts'
import { startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

interface Key {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

test('the audit log has what users and sessions of roles did, and none of their secrets', async (t) => {
  const cloud = await startCloud(t)
  const { init, config } = cloud
  const endpoint = `http://127.0.0.1:${config.apiPort}`
  const as = (credentials: Key) => ({ endpoint, region: init.region, credentials, maxAttempts: 1 })
  const iam = new IAM(as(init))
  t.after(() => iam.destroy())

  const Arn = (await iam.createUser({ UserName: 'ann' })).User?.Arn
  const Statement = [{ Effect: 'Allow', Principal: { AWS: Arn }, Action: 'sts:AssumeRole' }]
  const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
  const role = { RoleName: 'web', Path: '/svc/', AssumeRolePolicyDocument }
  const RoleArn = (await iam.createRole(role)).Role?.Arn
  const { AccessKey } = await iam.createAccessKey({ UserName: 'ann' })
  const ann = keyOf(AccessKey)
  const Password = 'Correct-Horse-7'
  await iam.createLoginProfile({ UserName: 'ann', Password })

  const sts = new STS(as(ann))
  t.after(() => sts.destroy())
  const { Credentials } = await sts.assumeRole({ RoleArn, RoleSessionName: 'deploy' })
  const session = { ...keyOf(Credentials), sessionToken: Credentials?.SessionToken ?? '' }
  const ec2 = new EC2(as(session))
  t.after(() => ec2.destroy())
  const attempt = ec2.createKeyPair({ KeyName: 'k' })
  assert.equal(await refusal(attempt), 'UnauthorizedOperation')
  const pair = await cloud.ec2().send(new CreateKeyPairCommand({ KeyName: 'k' }))
  const [, line = ''] = (pair.KeyMaterial ?? '').split('\n')

  const body = { rack: 'a', roles: ['cc'], minutes: 5 }
  const { token } = await cloud.local<{ token: string }>({
    method: 'POST',
    path: '/v1/tokens',
    body,
  })

  const file = filesOf(config.stateDir).audit
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const text = await readFile(file, 'utf8')
  const secrets = [ann.secretAccessKey, session.secretAccessKey, session.sessionToken]
  for (const secret of [...secrets, Password, line, token]) {
    assert.ok(secret.length > 8 && !text.includes(secret))
  }
  const records = text
    .trimEnd()
    .split('\n')
    .map((record) => JSON.parse(record))
  assert.deepEqual(
    records.map(({ eventName, userIdentity, errorCode }) => [
      ...[eventName, userIdentity.type, errorCode],
    ]),
    [
      ['CreateUser', 'Root', undefined],
      ['CreateRole', 'Root', undefined],
      ['CreateAccessKey', 'Root', undefined],
      ['CreateLoginProfile', 'Root', undefined],
      ['AssumeRole', 'IAMUser', undefined],
      ['CreateKeyPair', 'AssumedRole', 'Client.UnauthorizedOperation'],
      ['CreateKeyPair', 'Root', undefined],
      ['CreateToken', 'Operator', undefined],
    ],
  )
  assert.equal(records[5].userIdentity.sessionContext.sessionIssuer.arn, RoleArn)
  assert.match(RoleArn ?? '', /role\/svc\/web$/)
  assert.equal(records[6].responseElements.keyPairId, pair.KeyPairId)
})

function keyOf(key?: {
  AccessKeyId: string | undefined
  SecretAccessKey: string | undefined
}): Key {
  return {
    accessKeyId: key?.AccessKeyId ?? '',
    secretAccessKey: key?.SecretAccessKey ?? '',
  }
}
