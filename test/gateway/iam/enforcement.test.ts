// Policies before EC2's handlers: what a condition sees of a resource, and that nobody talks their
// way around a policy with tags, with names or with the ids of associations.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { stsHandlers } from '../../../gateway/sts/index.ts'
import { ACCOUNT, OTHER_ACCOUNT, REGION, registerImage, run, START_MS } from '../ec2/support.ts'
import { type Guarded, guarded, OK, outcome, setsOf, USER } from './guarded.ts'
import type { Elements } from './matrix.ts'

const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`
const NO = 'denied'

test('a user without policies may nothing, and reads why', async (t) => {
  const { as } = await guarded(t)
  const none = as({ Action: 's3:*' })
  assert.equal(await outcome(none('DescribeInstances', {})), 'denied ec2:DescribeInstances *')
  assert.equal(
    await outcome(none('CreateVpc', { CidrBlock: '10.1.0.0/16' })),
    'denied ec2:CreateVpc vpc/*',
  )
})

test('root may all', async (t) => {
  const { within } = await guarded(t)
  assert.equal(await outcome(within('root')('CreateVpc', { CidrBlock: '10.1.0.0/16' })), OK)
})

test('a dry run asks policies first, and passes them with DryRunOperation', async (t) => {
  const { as } = await guarded(t)
  const input = { CidrBlock: '10.1.0.0/16', DryRun: true }
  assert.equal(
    await outcome(as({ Action: 'ec2:CreateVpc' })('CreateVpc', input)),
    'DryRunOperation',
  )
  assert.equal(
    await outcome(as({ Action: 'ec2:DeleteVpc' })('CreateVpc', input)),
    'denied ec2:CreateVpc vpc/*',
  )
})

test("an id that is nobody's is refused by the guard when policies do not allow it", async (t) => {
  const { as } = await guarded(t)
  const id = 'i-0123456789abcdef0'
  const own = as({ Resource: `${EC2}:instance/i-1*` })
  const input = { InstanceIds: [id] }
  assert.equal(
    await outcome(own('TerminateInstances', input)),
    `denied ec2:TerminateInstances instance/${id}`,
  )
  assert.equal(await outcome(as({})('TerminateInstances', input)), 'InvalidInstanceID.NotFound')
})

test('all resources of a call must be allowed', async (t) => {
  const { cloud, as } = await guarded(t)
  const image = await registerImage(cloud)
  const [one = '', two = ''] = await run(cloud, { ImageId: image, count: 2 })
  const first = as({ Resource: `${EC2}:instance/${one}` })
  assert.equal(await outcome(first('RebootInstances', { InstanceIds: [one] })), OK)
  const both = { InstanceIds: [one, two] }
  assert.equal(
    await outcome(first('RebootInstances', both)),
    `denied ec2:RebootInstances instance/${two}`,
  )
})

/** What each statement lets Alice do with an instance that has the tag Team=red. */
const TAGGED: readonly (readonly [Elements | readonly Elements[], string])[] = [
  [{ Condition: { StringEquals: { 'aws:ResourceTag/Team': 'red' } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:ResourceTag/Team': 'red' } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:ResourceTag/team': 'red' } } }, OK],
  [{ Condition: { StringEquals: { 'aws:ResourceTag/Team': 'blue' } } }, NO],
  [{ Condition: { StringEquals: { 'aws:ResourceTag/Owner': 'red' } } }, NO],
  [{ Condition: { StringEquals: { 'aws:ResourceTag/Team': '${aws:PrincipalTag/Team}' } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:InstanceType': 't3.nano' } } }, OK],
  [{ Condition: { StringLike: { 'ec2:InstanceType': 'm*' } } }, NO],
  [{ Condition: { StringEquals: { 'ec2:AvailabilityZone': `${REGION}-a` } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:MetadataHttpTokens': 'required' } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:MetadataHttpTokens': 'optional' } } }, NO],
  [{ Condition: { ArnLike: { 'ec2:Vpc': `${EC2}:vpc/*` } } }, OK],
  [{ Condition: { ArnLike: { 'ec2:Subnet': `${EC2}:subnet/*` } } }, OK],
  [{ Condition: { StringEquals: { 'ec2:Region': REGION } } }, OK],
  [{ Condition: { StringEquals: { 'aws:RequestedRegion': 'elsewhere' } } }, NO],
  [{ Condition: { IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } } }, OK],
  [{ Condition: { NotIpAddress: { 'aws:SourceIp': '203.0.113.0/24' } } }, NO],
  [{ Condition: { DateGreaterThan: { 'aws:CurrentTime': '2026-11-22T11:59:59Z' } } }, OK],
  [{ Condition: { DateLessThan: { 'aws:CurrentTime': '2026-11-22T11:59:59Z' } } }, NO],
  [{ Condition: { NumericLessThan: { 'aws:EpochTime': '1' } } }, NO],
  [{ Condition: { Bool: { 'aws:SecureTransport': 'true' } } }, NO],
  [{ Condition: { StringEquals: { 'aws:UserAgent': 'test' } } }, OK],
  [{ Condition: { StringEquals: { 'aws:ResourceAccount': ACCOUNT } } }, OK],
  [[{}, { Effect: 'Deny', Condition: { Null: { 'aws:ResourceTag/Team': 'false' } } }], NO],
]

test('conditions see tags, type, zone, network and metadata options of an instance', async (t) => {
  const { cloud, as } = await guarded(t)
  const image = await registerImage(cloud)
  const tags = [{ Key: 'Team', Value: 'red' }]
  const [id = ''] = await run(cloud, {
    ImageId: image,
    Placement: { AvailabilityZone: `${REGION}-a` },
    TagSpecifications: [{ ResourceType: 'instance', Tags: tags }],
  })
  for (const [statements, want] of TAGGED) {
    const said = await outcome(
      as(statements, { 'aws:PrincipalTag/Team': 'red' })('RebootInstances', { InstanceIds: [id] }),
    )
    const expected = want === OK ? OK : `denied ec2:RebootInstances instance/${id}`
    assert.equal(said, expected, JSON.stringify(statements))
  }
})

test('names, associations and attachments are looked through to what they mean', async (t) => {
  const { cloud, as } = await guarded(t)
  const image = await registerImage(cloud)
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description: 'w',
  })
  const { KeyPairId = '' } = await cloud.call('CreateKeyPair', { KeyName: 'mine' })
  const [instance = ''] = await run(cloud, { ImageId: image, SecurityGroupIds: [GroupId] })
  const record = cloud.state.view().get('instance', instance)
  const eni = record?.interfaces[0] ?? ''
  const attachment = cloud.state.view().get('interface', eni)?.attachment ?? ''
  const { Subnets = [] } = await cloud.call('DescribeSubnets', {})
  const subnet = Subnets[0]?.SubnetId ?? ''
  const { RouteTable } = await cloud.call('CreateRouteTable', { VpcId: Subnets[0]?.VpcId })
  const table = RouteTable?.RouteTableId ?? ''
  const { AssociationId } = await cloud.call('AssociateRouteTable', {
    RouteTableId: table,
    SubnetId: subnet,
  })
  const none = as({ Action: 's3:*' })
  const but = (Resource: string) => as([{}, { Effect: 'Deny', Resource: `${EC2}:${Resource}` }])
  const rule = { GroupName: 'web', IpPermissions: [] }
  assert.equal(
    await outcome(none('AuthorizeSecurityGroupIngress', rule)),
    `denied ec2:AuthorizeSecurityGroupIngress security-group/${GroupId}`,
  )
  assert.equal(
    await outcome(none('DeleteSecurityGroup', { GroupName: 'web' })),
    `denied ec2:DeleteSecurityGroup security-group/${GroupId}`,
  )
  assert.equal(
    await outcome(none('DeleteKeyPair', { KeyPairId })),
    'denied ec2:DeleteKeyPair key-pair/mine',
  )
  assert.equal(
    await outcome(none('DetachNetworkInterface', { AttachmentId: attachment })),
    `denied ec2:DetachNetworkInterface instance/${instance}`,
  )
  assert.equal(
    await outcome(
      but(`network-interface/${eni}`)('DetachNetworkInterface', { AttachmentId: attachment }),
    ),
    `denied ec2:DetachNetworkInterface network-interface/${eni}`,
  )
  assert.equal(
    await outcome(but(`subnet/${subnet}`)('DisassociateRouteTable', { AssociationId })),
    `denied ec2:DisassociateRouteTable subnet/${subnet}`,
  )
  assert.equal(
    await outcome(but(`route-table/${table}`)('DisassociateRouteTable', { AssociationId })),
    `denied ec2:DisassociateRouteTable route-table/${table}`,
  )
})

test('boundaries and session policies hold for EC2 too', async (t) => {
  const { within } = await guarded(t)
  const all = setsOf({})
  const [vpcs] = setsOf({ Action: 'ec2:*Vpc*' }).identity
  const bounded = within({ ...all, boundary: vpcs ?? null })
  assert.equal(await outcome(bounded('DescribeVpcs', {})), OK)
  assert.equal(await outcome(bounded('DescribeSubnets', {})), 'denied ec2:DescribeSubnets *')
  const session = within({ ...all, session: vpcs === undefined ? [] : [vpcs] })
  assert.equal(await outcome(session('DescribeSubnets', {})), 'denied ec2:DescribeSubnets *')
})

test('a refusal is sealed, and STS decodes it for its account alone', async (t) => {
  const { cloud, authorize, sealer, within }: Guarded = await guarded(t)
  await outcome(
    within(setsOf([{}, { Effect: 'Deny', Sid: 'NoVpcs', Action: 'ec2:CreateVpc' }]))(
      'DescribeVpcs',
      {},
    ),
  )
  const arrival = { sourceIp: '203.0.113.9', userAgent: 'test', secure: true, nowMs: START_MS }
  const call = { service: 'ec2', operation: 'CreateVpc', input: {}, caller: USER, arrival } as const
  const [sentence = '', sealed = ''] = (await messageOf(authorize(call))).split(
    ' Encoded authorization failure message: ',
  )
  assert.equal(
    sentence,
    `You are not authorized to perform this operation. User: ${USER.userArn} is not authorized to perform: ec2:CreateVpc on resource: ${EC2}:vpc/* with an explicit deny in an identity-based policy.`,
  )
  const decode = async (account: string, EncodedMessage: string): Promise<string> => {
    const context = {
      caller: { ...USER, account },
      requestId: '1',
      nowMs: 0,
      log: silentLog,
      parameters: new Map(),
    }
    const handlers = stsHandlers({ state: cloud.state, sealer, randomHex })
    const answer = await handlers.DecodeAuthorizationMessage?.(context, { EncodedMessage })
    return answer?.DecodedMessage ?? ''
  }
  const decoded = JSON.parse(await decode(ACCOUNT, sealed))
  assert.equal(decoded.explicitDeny, true)
  assert.equal(decoded.matchedStatements.items.at(-1).statementId, 'NoVpcs')
  assert.equal(decoded.context.action, 'ec2:CreateVpc')
  assert.equal(decoded.context.resource, `${EC2}:vpc/*`)
  assert.deepEqual(decoded.context.principal, { id: USER.userId, arn: USER.userArn })
  const keys = decoded.context.conditions.items.map(({ key }: { key: string }) => key)
  assert.ok(keys.includes('aws:sourceip'), keys.join(' '))
  const bad = 'InvalidAuthorizationMessageException'
  assert.equal(await outcome(decode(OTHER_ACCOUNT, sealed)), bad)
  assert.equal(await outcome(decode(ACCOUNT, `${sealed.slice(0, -2)}AA`)), bad)
  assert.equal(await outcome(decode(ACCOUNT, 'x')), bad)
  assert.equal(await outcome(decode(ACCOUNT, '')), bad)
  assert.equal(await outcome(decode(ACCOUNT, 'x'.repeat(200_000))), bad)
})

async function messageOf(guard: Promise<unknown>): Promise<string> {
  try {
    await guard
  } catch (error) {
    if (error instanceof ApiError) return error.message
    throw error
  }
  return 'allowed'
}
