// IAM, STS and Auto Scaling of two accounts, and EC2 where it takes names: every action that is
// done, asked by the second account with names, ids and ARNs of the first's. One without a row
// fails here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModel, type ServiceName } from '../../../gateway/aws/model.ts'
import { type ServiceParts, serviceHandlers } from '../../../gateway/services.ts'
import { call } from '../http/sign.ts'
import { policyDocument, refused, trustOf, type World } from '../iam/world.ts'
import { actionsWithNames, ec2Asks, ec2Things, ownEc2 } from './foreign-ec2.ts'
import { type Asks, iamAsks, stsAsks, type Theirs } from './foreign-iam.ts'
import { scalingAsks, scalingMarks, scalingThings } from './foreign-scaling.ts'
import { openGround } from './ground.ts'
import { recordsOf } from './records.ts'
import { formOf } from './send.ts'

const HANDLERS = serviceHandlers({} as ServiceParts)

test('no name or ARN of one account means anything to another', async (t) => {
  const ground = await openGround(t)
  const { world } = ground
  const theirs = await theirThings(world)
  const own = await ownThings(world)
  const scaling = await scalingThings(ground)
  const lan = await ec2Things(world)
  const ec2 = await ownEc2(world, scaling.own.member, scaling.own.template)
  const marks = [theirs.policyArn, theirs.roleArn, theirs.userKey, ...scalingMarks(scaling.theirs)]
  const services: readonly (readonly [ServiceName, Asks])[] = [
    ['iam', iamAsks(theirs, own)],
    ['sts', stsAsks(theirs)],
    ['autoscaling', scalingAsks(ground, scaling.theirs, scaling.own)],
    ['ec2', ec2Asks(lan, ec2)],
  ]
  const before = recordsOf(world.state)

  for (const [service, asks] of services) {
    const model = loadModel(service)
    await t.test(`every action of ${service} is asked`, () => {
      const done = Object.keys(HANDLERS[service])
      const wanted = service === 'ec2' ? actionsWithNames(done) : done
      assert.deepEqual(Object.keys(asks).sort(), wanted.sort())
    })
    for (const [action, each] of Object.entries(asks)) {
      await t.test(`${service} ${action}`, async () => {
        for (const [input, told] of each) {
          const form = formOf(model, action, input)
          const body = `Action=${action}&Version=${model.version}&${form}`
          const answer = await call(world.endpoint.port, { ...own.keys, service, body })
          const xml = await answer.text()
          const [, code = 'accepted'] = /<Code>([^<]*)</.exec(xml) ?? []
          const said = `${form}: ${xml}`
          assert.match(code, told === 'own' ? /^accepted$/ : told, said)
          if (told === 'own')
            assert.deepEqual(
              marks.filter((mark) => xml.includes(mark)),
              [],
              said,
            )
        }
      })
    }
  }

  await t.test('all of the first account is as it was before', () => {
    const after = new Set(recordsOf(world.state))
    const gone = before.filter((line) => !after.has(line) && !line.includes(own.account))
    assert.deepEqual(gone, [])
  })
})

/** Of the first account: what the ground has, and a role that trusts this account alone. */
async function theirThings(world: World): Promise<Theirs> {
  const { account } = world
  const iam = world.iam()
  const { AccessKey } = await iam.createAccessKey({ UserName: 'alice' })
  const { AccessKeyId = '', SecretAccessKey = '' } = AccessKey ?? {}
  const alice = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey }
  await iam.createLoginProfile({ UserName: 'alice', Password: 'Mallee-and-Eucalyptus-2' })
  await iam.createAccountAlias({ AccountAlias: 'first' })
  const PolicyName = 'inline'
  const PolicyDocument = policyDocument('ec2:Describe*')
  await iam.putUserPolicy({ UserName: 'alice', PolicyName, PolicyDocument })
  await iam.putGroupPolicy({ GroupName: 'staff', PolicyName, PolicyDocument })
  await iam.putRolePolicy({ RoleName: 'web', PolicyName, PolicyDocument })
  const AssumeRolePolicyDocument = trustOf({ AWS: account })
  const { Role } = await iam.createRole({ RoleName: 'closed', AssumeRolePolicyDocument })
  const { Policies } = await iam.listPolicies({ Scope: 'Local' })
  const denied = world.ec2(alice).createVpc({ CidrBlock: '10.200.0.0/16' })
  const sentence = await refused(denied, 'UnauthorizedOperation', 403)
  const [, encoded] = /failure message: (\S+)/.exec(sentence) ?? []
  const [policyArn, roleArn] = [Policies?.[0]?.Arn, Role?.Arn]
  assert.ok(encoded && policyArn && roleArn)
  return { account, policyArn, roleArn, userKey: AccessKeyId, encoded }
}

/** Of the second account, which asks as a user who may do everything. */
async function ownThings(world: World) {
  const iam = world.iam(world.other)
  const PolicyDocument = policyDocument('*')
  const { Policy } = await iam.createPolicy({ PolicyName: 'all', PolicyDocument })
  const policyArn = Policy?.Arn ?? ''
  await iam.createUser({ UserName: 'bob' })
  await iam.attachUserPolicy({ UserName: 'bob', PolicyArn: policyArn })
  await iam.createGroup({ GroupName: 'mine' })
  await iam.createRole({ RoleName: 'own', AssumeRolePolicyDocument: trustOf({ AWS: '*' }) })
  await iam.createInstanceProfile({ InstanceProfileName: 'own' })
  const { AccessKey } = await iam.createAccessKey({ UserName: 'bob' })
  const { AccessKeyId = '', SecretAccessKey = '' } = AccessKey ?? {}
  const { Account = '' } = await world.sts(world.other).getCallerIdentity({})
  const keys = { accessKeyId: AccessKeyId, secret: SecretAccessKey }
  return { account: Account, policyArn, keys }
}
