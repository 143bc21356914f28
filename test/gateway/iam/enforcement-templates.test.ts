// Policies before launches from templates: what a template says is asked for like what a request
// says, so that nobody talks their way around a policy with a template.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT, REGION, registerImage } from '../ec2/support.ts'
import { guarded, OK, outcome } from './guarded.ts'

const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`
const ONE = { MinCount: 1, MaxCount: 1 } as const
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

test('a template is its id to policies, also when it is named', async (t) => {
  const { cloud, as } = await guarded(t)
  const LaunchTemplateData = { InstanceType: 't3.nano' } as const
  const template = { LaunchTemplateName: 'web', LaunchTemplateData }
  const { LaunchTemplate: made } = await cloud.call('CreateLaunchTemplate', template)
  const id = made?.LaunchTemplateId ?? ''
  const none = as({ Resource: `${EC2}:launch-template/lt-0*` })
  for (const action of ['DeleteLaunchTemplate', 'CreateLaunchTemplateVersion'] as const) {
    const call = none(action, { LaunchTemplateName: 'web', LaunchTemplateData })
    assert.equal(await outcome(call), `denied ec2:${action} launch-template/${id}`)
  }
})
