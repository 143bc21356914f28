// Policies before calls to Auto Scaling: groups by their ARNs and tags, what a group will launch,
// and a template that changes between the guard and the handler.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { autoScalingHandlers } from '../../../gateway/autoscaling/index.ts'
import type {
  AutoScalingHandlers,
  AutoScalingInputs,
  CallContext,
} from '../../../gateway/aws/handlers.ts'
import { createAuthorizer } from '../../../gateway/iam/authorize.ts'
import { iamHandlers } from '../../../gateway/iam/index.ts'
import { testSealer } from '../../support/sealer.ts'
import { createGroup, openScaling, type ScalingCloud } from '../autoscaling/support.ts'
import { ACCOUNT, REGION, START_MS } from '../ec2/support.ts'
import { OK, outcome, setsOf, USER } from './guarded.ts'
import type { Elements } from './matrix.ts'

const web = { AutoScalingGroupName: 'web' }
const GROUPS = `arn:aws:autoscaling:${REGION}:${ACCOUNT}:autoScalingGroup`
const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`
const ALL: Elements = { Action: ['autoscaling:*', 'ec2:*', 'iam:*'] }

type Ask = <K extends keyof AutoScalingHandlers & keyof AutoScalingInputs>(
  statements: Elements | readonly Elements[],
  action: K,
  input: AutoScalingInputs[K],
  meanwhile?: () => Promise<unknown>,
) => Promise<string>

/** What the guard says to a user with these statements, and then the handler. */
async function asking(t: TestContext): Promise<ScalingCloud & { readonly ask: Ask }> {
  const scaling = await openScaling(t)
  const { state } = scaling.cloud
  const sealer = await testSealer(t)
  const handlers = autoScalingHandlers({ state, randomHex, sealer, region: REGION })
  const ask: Ask = async (statements, action, input, meanwhile) => {
    const authorize = createAuthorizer({
      ...{ state, sealer, region: REGION },
      accessOf: (_, { account, userArn }) => ({
        policies: setsOf(statements),
        principal: { kind: 'user', account, arn: userArn, roleArn: null },
        keys: new Map(),
      }),
    })
    const arrival = { sourceIp: '203.0.113.9', userAgent: 'test', secure: false, nowMs: START_MS }
    const asked = { operation: action, input: input as object, caller: USER, arrival }
    const handler = handlers[action] as (context: CallContext, input: unknown) => Promise<object>
    return await outcome(
      (async () => {
        const authorized = await authorize({ service: 'autoscaling', ...asked })
        await meanwhile?.()
        return await handler(
          {
            ...{ caller: USER, requestId: '', nowMs: START_MS, log: silentLog },
            ...{ parameters: new Map(), ...(authorized === undefined ? {} : { authorized }) },
          },
          input,
        )
      })(),
    )
  }
  return { ...scaling, ask }
}

const create = (scaling: ScalingCloud, change: object = {}) => ({
  ...{ AutoScalingGroupName: 'new', MinSize: 0, MaxSize: 2 },
  ...{ LaunchTemplate: { LaunchTemplateName: 'web', Version: '$Latest' } },
  VPCZoneIdentifier: scaling.subnets['a'],
  ...change,
})

test('a group is a resource, by its name and its id', async (t) => {
  const { ask, ...scaling } = await asking(t)
  await createGroup(scaling)
  const [group] = scaling.cloud.state.view().all('scaling-group')
  const on = (Resource: string) =>
    ask({ Action: 'autoscaling:SetDesiredCapacity', Resource }, 'SetDesiredCapacity', {
      ...{ ...web, DesiredCapacity: 1 },
    })
  assert.equal(await on(`${GROUPS}:*:autoScalingGroupName/web`), OK)
  assert.equal(await on(`${GROUPS}:${group?.id}:autoScalingGroupName/web`), OK)
  assert.equal(await on(`${GROUPS}:*:autoScalingGroupName/other`), 'AccessDenied')
  // Of an instance it is its group.
  await scaling.settle()
  const [member] = scaling.cloud.state.view().all('scaling-member')
  const InstanceId = member?.instance ?? ''
  const terminate = (name: string) =>
    ask(
      {
        Action: 'autoscaling:TerminateInstanceInAutoScalingGroup',
        Resource: `${GROUPS}:*:autoScalingGroupName/${name}`,
      },
      'TerminateInstanceInAutoScalingGroup',
      { InstanceId, ShouldDecrementDesiredCapacity: true },
    )
  assert.equal(await terminate('other'), 'AccessDenied')
  assert.equal(await terminate('web'), OK)
})

test('tags of a group, and those that a request gives it, are keys of conditions', async (t) => {
  const { ask, ...scaling } = await asking(t)
  await createGroup(scaling, { Tags: [{ Key: 'Stage', Value: 'test' }] })
  const where = (Condition: Elements['Condition']) =>
    ask({ Action: 'autoscaling:DeleteAutoScalingGroup', Condition }, 'DeleteAutoScalingGroup', web)
  const is = (key: string, value: string) => ({ StringEquals: { [key]: value } })
  assert.equal(await where(is('aws:ResourceTag/Stage', 'live')), 'AccessDenied')
  assert.equal(await where(is('autoscaling:ResourceTag/Stage', 'test')), OK)
  const tagged = { Condition: is('aws:RequestTag/Stage', 'test') }
  const make = (Value: string) =>
    ask(
      [{ Action: 'autoscaling:*', ...tagged }, { Action: 'ec2:*' }],
      'CreateAutoScalingGroup',
      create(scaling, { Tags: [{ Key: 'Stage', Value, PropagateAtLaunch: true }] }),
    )
  assert.equal(await make('live'), 'AccessDenied')
  assert.equal(await make('test'), OK)
})

test('sizes and versions that a request names are keys of conditions', async (t) => {
  const { ask, ...scaling } = await asking(t)
  const make = (Condition: Elements['Condition'], change: object) =>
    ask([ALL, { ...ALL, Effect: 'Deny', Condition }], 'CreateAutoScalingGroup', {
      ...create(scaling, change),
    })
  const large = { NumericGreaterThan: { 'autoscaling:MaxSize': '5' } }
  assert.equal(await make(large, { MaxSize: 6 }), 'AccessDenied')
  assert.equal(await make(large, { MaxSize: 5 }), OK)
  const loose = { Bool: { 'autoscaling:LaunchTemplateVersionSpecified': 'false' } }
  const version = (Version: string) => ({
    ...{ AutoScalingGroupName: 'other' },
    LaunchTemplate: { LaunchTemplateName: 'web', Version },
  })
  assert.equal(await make(loose, version('$Latest')), 'AccessDenied')
  assert.equal(await make(loose, version('1')), OK)
})

test('who makes a group must be allowed to launch what it launches, where it does', async (t) => {
  const { ask, ...scaling } = await asking(t)
  const without = (Action: string, Resource: string, change: object = {}) =>
    ask([ALL, { Effect: 'Deny', Action, Resource }], 'CreateAutoScalingGroup', {
      ...create(scaling, change),
    })
  const { a, b } = scaling.subnets
  assert.equal(await without('ec2:RunInstances', `${EC2}:instance/*`), 'AccessDenied')
  assert.equal(await without('ec2:RunInstances', `${EC2}:subnet/${a}`), 'AccessDenied')
  assert.equal(await without('ec2:RunInstances', `${EC2}:subnet/${b}`), OK)
  // Whoever widens a group must be allowed to launch there as well.
  const widen = (Resource: string) =>
    ask([ALL, { Effect: 'Deny', Action: 'ec2:RunInstances', Resource }], 'UpdateAutoScalingGroup', {
      ...{ AutoScalingGroupName: 'new', VPCZoneIdentifier: `${a},${b}` },
    })
  assert.equal(await widen(`${EC2}:subnet/${b}`), 'AccessDenied')
  assert.equal(await widen(`${EC2}:subnet/none`), OK)
})

test('who makes a group must be allowed to pass the role of its template', async (t) => {
  const { ask, ...scaling } = await asking(t)
  const { state } = scaling.cloud
  const iam = iamHandlers({ state, randomHex, sealer: await testSealer(t) })
  const context = {
    ...{ caller: USER, requestId: '', nowMs: START_MS, log: silentLog, parameters: new Map() },
  }
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' },
    ],
  })
  await iam.CreateRole?.(context, { RoleName: 'app', AssumeRolePolicyDocument })
  await iam.CreateInstanceProfile?.(context, { InstanceProfileName: 'app' })
  const names = { InstanceProfileName: 'app', RoleName: 'app' }
  await iam.AddRoleToInstanceProfile?.(context, names)
  await scaling.cloud.call('CreateLaunchTemplateVersion', {
    ...{ LaunchTemplateName: 'web', SourceVersion: '1' },
    LaunchTemplateData: { IamInstanceProfile: { Name: 'app' } },
  })
  const ec2: Elements = { Action: ['autoscaling:*', 'ec2:*'] }
  const pass: Elements = { Action: 'iam:PassRole', Resource: `arn:aws:iam::${ACCOUNT}:role/app` }
  const make = (statements: readonly Elements[]) =>
    ask(statements, 'CreateAutoScalingGroup', create(scaling))
  assert.equal(await make([ec2]), 'AccessDenied')
  assert.equal(await make([ec2, pass]), OK)
})

test('a group takes the template that policies were asked about, whatever its name means by then', async (t) => {
  const { ask, ...scaling } = await asking(t)
  const { cloud } = scaling
  const before = cloud.state.view().all('launch-template')[0]?.id
  const ImageId = cloud.state.view().all('image')[0]?.id
  const remake = async (): Promise<void> => {
    await cloud.call('DeleteLaunchTemplate', { LaunchTemplateName: 'web' })
    await cloud.call('CreateLaunchTemplate', {
      ...{ LaunchTemplateName: 'web' },
      LaunchTemplateData: { ImageId, InstanceType: 't3.large' },
    })
  }
  const made = ask(ALL, 'CreateAutoScalingGroup', create(scaling), remake)
  assert.equal(await made, 'ValidationError')
  assert.notEqual(cloud.state.view().all('launch-template')[0]?.id, before)
  assert.equal(await ask(ALL, 'CreateAutoScalingGroup', create(scaling)), OK)
})
