// Policies before launches from templates: what a template says is asked for like what a request
// says, so that nobody talks their way around a policy with a template.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestLaunchTemplateData } from '@aws-sdk/client-ec2'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { Ec2Outputs } from '../../../gateway/aws/handlers.ts'
import { iamHandlers } from '../../../gateway/iam/index.ts'
import { ACCOUNT, REGION, registerImage, START_MS } from '../ec2/support.ts'
import { guarded, OK, outcome, USER } from './guarded.ts'

const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`
const ONE = { MinCount: 1, MaxCount: 1 } as const
const TRUST = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' },
  ],
})
const LaunchTemplate = { LaunchTemplateName: 'web' }

test('a launch from a template asks for what the template says', async (t) => {
  const { cloud, as } = await guarded(t)
  const ImageId = await registerImage(cloud)
  const LaunchTemplateData = { ImageId, InstanceType: 't3.large' } as const
  const input = { LaunchTemplateName: 'web', LaunchTemplateData }
  const { LaunchTemplate: made } = await cloud.call('CreateLaunchTemplate', input)
  const id = made?.LaunchTemplateId ?? ''
  const launch = { ...ONE, LaunchTemplate }
  const all = { Action: 'ec2:RunInstances' }
  const without = (more: object): Promise<string> =>
    outcome(as([all, { Effect: 'Deny', ...all, ...more }])('RunInstances', launch))
  assert.equal(
    await without({ Resource: `arn:aws:ec2:${REGION}::image/${ImageId}` }),
    `denied ec2:RunInstances image/${ImageId}`,
  )
  assert.equal(
    await without({ Condition: { StringEquals: { 'ec2:InstanceType': 't3.large' } } }),
    'denied ec2:RunInstances instance/*',
  )
  assert.equal(
    await without({ Resource: `${EC2}:launch-template/${id}` }),
    `denied ec2:RunInstances launch-template/${id}`,
  )
  assert.equal(await without({ Resource: `${EC2}:launch-template/lt-0` }), OK)
})

test('a launch with a kernel asks for that as for an image', async (t) => {
  const { cloud, as } = await guarded(t)
  const ImageId = await registerImage(cloud)
  const kernel = 'aki-01234567'
  const launch = { ...ONE, ImageId, InstanceType: 't3.nano', KernelId: kernel } as const
  const all = { Action: 'ec2:RunInstances' }
  const Resource = `arn:aws:ec2:${REGION}::image/${kernel}`
  const user = as([all, { Effect: 'Deny', ...all, Resource }])
  const denied = `denied ec2:RunInstances image/${kernel}`
  assert.equal(await outcome(user('RunInstances', launch)), denied)
  const LaunchTemplateData = { ImageId, KernelId: kernel }
  await cloud.call('CreateLaunchTemplate', { LaunchTemplateName: 'web', LaunchTemplateData })
  const templated = { ...ONE, LaunchTemplate, InstanceType: 't3.nano' } as const
  assert.equal(await outcome(user('RunInstances', templated)), denied)
})

test('a policy may allow launches only from a template, and nothing in its place', async (t) => {
  const { cloud, as } = await guarded(t)
  const ImageId = await registerImage(cloud)
  const other = await registerImage(cloud, 'other')
  const LaunchTemplateData = { ImageId, InstanceType: 't3.nano' } as const
  const template = { LaunchTemplateName: 'web', LaunchTemplateData }
  const { LaunchTemplate: made } = await cloud.call('CreateLaunchTemplate', template)
  const arn = `${EC2}:launch-template/${made?.LaunchTemplateId}`
  const only = as({
    Action: ['ec2:RunInstances'],
    Condition: {
      ArnLike: { 'ec2:LaunchTemplate': arn },
      Bool: { 'ec2:IsLaunchTemplateResource': 'true' },
    },
  })
  assert.equal(await outcome(only('RunInstances', { ...ONE, LaunchTemplate })), OK)
  const changed = { ...ONE, LaunchTemplate, ImageId: other }
  const code = await outcome(only('RunInstances', changed))
  assert.equal(code, `denied ec2:RunInstances image/${other}`)
  const bare = { ...ONE, ImageId, InstanceType: 't3.nano' } as const
  assert.match(await outcome(only('RunInstances', bare)), /^denied ec2:RunInstances/)
})

test('a launch takes the version that policies were asked about, whatever comes meanwhile', async (t) => {
  const { cloud, as } = await guarded(t)
  const ImageId = await registerImage(cloud)
  const small = { ImageId, InstanceType: 't3.nano' } as const
  const large = { ImageId, InstanceType: 't3.large' } as const
  const LaunchTemplateName = 'web'
  const make = (LaunchTemplateData: RequestLaunchTemplateData): Promise<unknown> =>
    cloud.call('CreateLaunchTemplate', { LaunchTemplateName, LaunchTemplateData })
  const remake = async (): Promise<void> => {
    await cloud.call('DeleteLaunchTemplate', { LaunchTemplateName })
    await make(large)
  }
  const add = (): Promise<unknown> =>
    cloud.call('CreateLaunchTemplateVersion', { LaunchTemplateName, LaunchTemplateData: large })
  const appoint = async (): Promise<void> => {
    await cloud.call('CreateLaunchTemplateVersion', {
      LaunchTemplateName,
      LaunchTemplateData: large,
    })
    await cloud.call('ModifyLaunchTemplate', { LaunchTemplateName, DefaultVersion: '2' })
  }
  const user = as([
    { Action: 'ec2:RunInstances' },
    {
      Effect: 'Deny',
      Action: 'ec2:RunInstances',
      Resource: `${EC2}:instance/*`,
      Condition: { StringEquals: { 'ec2:InstanceType': 't3.large' } },
    },
  ])
  const launch = (Version: string, meanwhile: () => Promise<unknown>): Promise<string> =>
    typeStarted(
      user('RunInstances', { ...ONE, LaunchTemplate: { LaunchTemplateName, Version } }, meanwhile),
    )
  const absent = user('RunInstances', { ...ONE, LaunchTemplate }, () => make(large))
  assert.equal(await outcome(absent), 'InvalidLaunchTemplateName.NotFoundException')
  await cloud.call('DeleteLaunchTemplate', { LaunchTemplateName })
  await make(small)
  assert.equal(await launch('$Latest', add), 't3.nano')
  assert.equal(await launch('$Latest', async () => {}), 'denied ec2:RunInstances instance/*')
  await cloud.call('DeleteLaunchTemplate', { LaunchTemplateName })
  await make(small)
  assert.equal(await launch('$Default', appoint), 't3.nano')
  await cloud.call('DeleteLaunchTemplate', { LaunchTemplateName })
  await make(small)
  const gone = user('RunInstances', { ...ONE, LaunchTemplate }, remake)
  assert.equal(await outcome(gone), 'InvalidLaunchTemplateId.NotFound')
})

test('a template is its id to policies, also when it is named', async (t) => {
  const { cloud, as } = await guarded(t)
  const LaunchTemplateData = { InstanceType: 't3.nano' } as const
  const template = { LaunchTemplateName: 'web', LaunchTemplateData }
  const { LaunchTemplate: made } = await cloud.call('CreateLaunchTemplate', template)
  const id = made?.LaunchTemplateId ?? ''
  const none = as({ Resource: `${EC2}:launch-template/web*` })
  for (const action of ['DeleteLaunchTemplate', 'CreateLaunchTemplateVersion'] as const) {
    const call = none(action, { LaunchTemplateName: 'web', LaunchTemplateData })
    assert.equal(await outcome(call), `denied ec2:${action} launch-template/${id}`)
  }
})

test('a launch passes the role that policies were asked about, or none', async (t) => {
  const { cloud, sealer, as } = await guarded(t)
  const { state } = cloud
  const ImageId = await registerImage(cloud)
  const iam = iamHandlers({ state, sealer, randomHex })
  const root = { caller: USER, requestId: '1', nowMs: START_MS, log: silentLog }
  const context = { ...root, parameters: new Map() }
  const InstanceProfileName = 'web'
  await iam.CreateInstanceProfile?.(context, { InstanceProfileName })
  const give = async (RoleName: string): Promise<void> => {
    await iam.CreateRole?.(context, { RoleName, AssumeRolePolicyDocument: TRUST })
    await iam.AddRoleToInstanceProfile?.(context, { InstanceProfileName, RoleName })
  }
  await give('modest')
  const user = as([
    { Action: 'ec2:*' },
    { Action: 'iam:PassRole', Resource: `arn:aws:iam::${ACCOUNT}:role/modest` },
  ])
  const launch = { ...ONE, ImageId, IamInstanceProfile: { Name: InstanceProfileName } }
  assert.equal(await outcome(user('RunInstances', launch)), OK)
  const swap = async (): Promise<void> => {
    const RoleName = 'modest'
    await iam.RemoveRoleFromInstanceProfile?.(context, { InstanceProfileName, RoleName })
    await give('mighty')
  }
  assert.equal(await outcome(user('RunInstances', launch, swap)), 'Unavailable')
  const [code = ''] = (await outcome(user('RunInstances', launch))).split(' on ')
  assert.match(code, /^denied iam:PassRole/)
})

test('a fleet asks for every launch that it may make, by the versions that it then takes', async (t) => {
  const { cloud, as } = await guarded(t)
  const ImageId = await registerImage(cloud)
  const LaunchTemplateName = 'web'
  const LaunchTemplateData = { ImageId, InstanceType: 't3.nano' } as const
  await cloud.call('CreateLaunchTemplate', { LaunchTemplateName, LaunchTemplateData })
  const fleet = (InstanceType: 't3.micro' | 't3.large', OnDemandTargetCapacity: number) => ({
    Type: 'instant' as const,
    LaunchTemplateConfigs: [
      {
        LaunchTemplateSpecification: { LaunchTemplateName, Version: '$Latest' },
        Overrides: [{ ImageId }, { InstanceType }],
      },
    ],
    TargetCapacitySpecification: { TotalTargetCapacity: 1, OnDemandTargetCapacity },
  })
  const all = { Action: ['ec2:CreateFleet', 'ec2:RunInstances'] }
  const refusing = (key: string, value: string) =>
    as([
      all,
      { Effect: 'Deny', Action: 'ec2:RunInstances', Condition: { StringEquals: { [key]: value } } },
    ])
  const noLarge = refusing('ec2:InstanceType', 't3.large')
  const denied = 'denied ec2:RunInstances instance/*'
  assert.equal(await outcome(noLarge('CreateFleet', fleet('t3.large', 1))), denied)
  const noSpot = refusing('ec2:InstanceMarketType', 'spot')
  assert.equal(await outcome(noSpot('CreateFleet', fleet('t3.large', 0))), denied)
  assert.equal(await outcome(noSpot('CreateFleet', fleet('t3.large', 1))), OK)
  const none = as({ Action: 'ec2:CreateFleet' })
  assert.match(await outcome(none('CreateFleet', fleet('t3.micro', 1))), /^denied ec2:RunInstances/)
  const large = { ...LaunchTemplateData, InstanceType: 't3.large' } as const
  const add = () =>
    cloud.call('CreateLaunchTemplateVersion', { LaunchTemplateName, LaunchTemplateData: large })
  const made = await noLarge('CreateFleet', fleet('t3.micro', 1), add)
  assert.ok(typeof made === 'object')
  assert.deepEqual(
    made.Instances?.map((one) => one.InstanceType),
    ['t3.nano'],
  )
})

async function typeStarted(call: Promise<Ec2Outputs['RunInstances'] | string>): Promise<string> {
  const answer = await call
  return typeof answer === 'string' ? answer : (answer.Instances?.[0]?.InstanceType ?? '')
}
