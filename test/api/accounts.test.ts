// Accounts and access keys as operators make them, used as their owners do.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DescribeVpcsCommand, EC2Client } from '@aws-sdk/client-ec2'
import { IAMClient, ListUsersCommand } from '@aws-sdk/client-iam'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

interface NewKey {
  readonly account: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const cloud = await startCloud({ after })

test('a new account has a default VPC that no other account sees', async () => {
  const { local } = cloud
  const key = await local<NewKey>({ method: 'POST', path: '/v1/accounts', body: { name: 'lab' } })
  assert.match(key.account, /^[1-9]\d{11}$/)
  const [theirs, first] = [await vpcsOf(clientOf(key)), await vpcsOf(cloud.ec2())]
  assert.deepEqual([theirs.length, first.length], [1, 1])
  assert.equal(theirs[0]?.IsDefault, true)
  assert.equal(theirs[0]?.OwnerId, key.account)
  assert.notEqual(theirs[0]?.VpcId, first[0]?.VpcId)
  const foreign = new DescribeVpcsCommand({ VpcIds: [first[0]?.VpcId ?? ''] })
  assert.equal(await refusal(clientOf(key).send(foreign)), 'InvalidVpcID.NotFound')
})

test('an account may have two keys, and a deleted one signs nothing any more', async () => {
  const made = await cloud.local<NewKey>({
    method: 'POST',
    path: '/v1/accounts',
    body: { name: 'keys' },
  })
  const path = `/v1/accounts/${made.account}/keys`
  const second = await cloud.local<NewKey>({ method: 'POST', path })
  assert.equal((await vpcsOf(clientOf(second))).length, 1)
  await assert.rejects(cloud.local({ method: 'POST', path }), { code: 'Conflict' })
  await cloud.local({ method: 'DELETE', path: `${path}/${made.accessKeyId}` })
  const listed = await cloud.local<{ keys: { id: string }[] }>({ method: 'GET', path })
  assert.deepEqual(
    listed.keys.map(({ id }) => id),
    [second.accessKeyId],
  )
  assert.equal(await refusal(vpcsOf(clientOf(made))), 'AuthFailure')
  assert.equal((await vpcsOf(clientOf(second))).length, 1)
})

test('bad names, taken names and unknown accounts and keys are refused by name', async () => {
  const post = (name: string): Promise<unknown> =>
    cloud.local({ method: 'POST', path: '/v1/accounts', body: { name } })
  for (const name of ['', 'a b', 'x/y', 'é']) {
    await assert.rejects(post(name), { code: 'BadArgument' })
  }
  await assert.rejects(post('admin'), { code: 'NameTaken', message: /named admin/ })
  const nobody = '/v1/accounts/000000000000/keys'
  await assert.rejects(cloud.local({ method: 'POST', path: nobody }), { code: 'NotFound' })
  await assert.rejects(cloud.local({ method: 'GET', path: nobody }), { code: 'NotFound' })
  const key = `/v1/accounts/${cloud.init.account}/keys/AKIAAAAAAAAAAAAAAAAA`
  await assert.rejects(cloud.local({ method: 'DELETE', path: key }), { code: 'NotFound' })
})

test('a blocked account is refused in every service until it is unblocked, and keeps all it has', async () => {
  const { local } = cloud
  const made = await local<NewKey>({ method: 'POST', path: '/v1/accounts', body: { name: 'late' } })
  const path = `/v1/accounts/${made.account}`
  const ec2 = clientOf(made)
  const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
  const credentials = made
  const iam = new IAMClient({ endpoint, region: 'mallee-1', credentials, maxAttempts: 1 })
  cloud.onEnd(async () => iam.destroy())
  const [vpc] = await vpcsOf(ec2)
  await local({ method: 'PUT', path, body: { isBlocked: true } })
  await until('the gateway sees it', async () => (await refusal(vpcsOf(ec2))) === 'Blocked')
  assert.equal(await refusal(iam.send(new ListUsersCommand({}))), 'AccessDenied')
  assert.equal((await vpcsOf(cloud.ec2())).length, 1, 'nobody else is')
  await local({ method: 'PUT', path, body: { name: 'in-time' } })
  assert.equal(await refusal(vpcsOf(ec2)), 'Blocked', 'a name unblocks nothing')
  await assert.rejects(local({ method: 'PUT', path, body: { name: 'admin' } }), {
    code: 'NameTaken',
  })
  await local({ method: 'PUT', path, body: { isBlocked: false } })
  await until('it is taken again', async () => (await refusal(vpcsOf(ec2))) === 'accepted')
  assert.deepEqual((await vpcsOf(ec2))[0]?.VpcId, vpc?.VpcId)
  const now = await local<{ name: string }>({ method: 'GET', path })
  assert.equal(now.name, 'in-time')
  await local({ method: 'POST', path: '/v1/accounts', body: { name: 'late' } })
})

test('a disabled key signs nothing until it is enabled', async () => {
  const body = { name: 'pausing' }
  const made = await cloud.local<NewKey>({ method: 'POST', path: '/v1/accounts', body })
  const path = `/v1/accounts/${made.account}/keys/${made.accessKeyId}`
  const ec2 = clientOf(made)
  await cloud.local({ method: 'PUT', path, body: { status: 'Inactive' } })
  await until('it is refused', async () => (await refusal(vpcsOf(ec2))) === 'AuthFailure')
  await cloud.local({ method: 'PUT', path, body: { status: 'Active' } })
  await until('it signs', async () => (await refusal(vpcsOf(ec2))) === 'accepted')
})

function clientOf({ accessKeyId, secretAccessKey }: NewKey): EC2Client {
  const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
  const credentials = { accessKeyId, secretAccessKey }
  const client = new EC2Client({ endpoint, region: 'mallee-1', credentials, maxAttempts: 1 })
  cloud.onEnd(async () => client.destroy())
  return client
}

async function vpcsOf(client: EC2Client) {
  return (await client.send(new DescribeVpcsCommand({}))).Vpcs ?? []
}
