// Who may launch an image, its description, its copies, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  run,
  START_MS,
} from './support.ts'

const THEM = { account: OTHER_ACCOUNT }

test('ModifyImageAttribute shares an image, which others then find and start', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  await cloud.call('CreateTags', { Resources: [ImageId], Tags: [{ Key: 'mine', Value: '' }] })
  const seen = async (input: Ec2Inputs['DescribeImages'] = {}): Promise<number> =>
    (await cloud.call('DescribeImages', input, THEM)).Images?.length ?? -1
  assert.equal(await seen(), 0)
  await modify(cloud, { ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } })
  assert.equal(await seen(), 1)
  assert.equal(await seen({ ExecutableUsers: ['self'] }), 1)
  assert.equal(await seen({ ExecutableUsers: ['all'] }), 0)
  const { Images } = await cloud.call('DescribeImages', {}, THEM)
  assert.deepEqual(Images?.[0]?.Tags, [], 'tags are the owner’s alone')
  const one = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ImageId } as const
  assert.equal(await refusal(cloud.call('RunInstances', one, THEM)), 'accepted')
  for (const action of ['DeregisterImage', 'DescribeImageAttribute'] as const) {
    const input = { ImageId, Attribute: 'launchPermission' as const }
    const code = await refusal(cloud.call(action, input, THEM))
    assert.notEqual(code, 'accepted', action)
  }
  assert.equal(
    await refusal(modify(cloud, { ImageId, Description: { Value: 'x' } }, THEM)),
    'AuthFailure',
  )
  assert.deepEqual(await permissions(cloud, ImageId), [{ UserId: OTHER_ACCOUNT }])
  // The older form of the request.
  await modify(cloud, { ImageId, OperationType: 'add', UserGroups: ['all'] })
  assert.equal(await seen({ ExecutableUsers: ['all'] }), 1)
  await modify(cloud, { ImageId, OperationType: 'remove', UserIds: [OTHER_ACCOUNT] })
  assert.deepEqual(await permissions(cloud, ImageId), [{ Group: 'all' }])
  await cloud.call('ResetImageAttribute', { ImageId, Attribute: 'launchPermission' })
  assert.deepEqual(await permissions(cloud, ImageId), [])
  assert.equal(await seen(), 0)
})

test('EnableImageBlockPublicAccess keeps images from becoming public, not from being so', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [first, second] = [await registerImage(cloud, 'one'), await registerImage(cloud, 'two')]
  const all = { LaunchPermission: { Add: [{ Group: 'all' as const }] } }
  await modify(cloud, { ImageId: first, ...all })
  const state = async (): Promise<string | undefined> =>
    (await cloud.call('GetImageBlockPublicAccessState', {})).ImageBlockPublicAccessState
  assert.equal(await state(), 'unblocked')
  const ImageBlockPublicAccessState = 'block-new-sharing'
  await cloud.call('EnableImageBlockPublicAccess', { ImageBlockPublicAccessState })
  await cloud.restart()
  assert.equal(await state(), 'block-new-sharing')
  const call = modify(cloud, { ImageId: second, ...all })
  assert.equal(await refusal(call), 'OperationNotPermitted')
  assert.equal(await refusal(modify(cloud, { ImageId: first, ...all })), 'accepted')
  await cloud.call('DisableImageBlockPublicAccess', {})
  assert.equal(await refusal(modify(cloud, { ImageId: second, ...all })), 'accepted')
})

test('a deprecated image is found by its owner, by its id, and when asked for', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  await modify(cloud, { ImageId, LaunchPermission: { Add: [{ Group: 'all' }] } })
  const minute = 60_000
  const DeprecateAt = new Date(START_MS + minute / 2)
  await cloud.call('EnableImageDeprecation', { ImageId, DeprecateAt })
  const find = async (input: object, as: object): Promise<(string | undefined)[]> =>
    ((await cloud.call('DescribeImages', input, as)).Images ?? []).map((one) => one.DeprecationTime)
  const at = new Date(START_MS + minute).toISOString()
  assert.deepEqual(await find({}, THEM), [at])
  const later = { ...THEM, nowMs: START_MS + minute }
  assert.deepEqual(await find({}, later), [])
  assert.deepEqual(await find({ IncludeDeprecated: true }, later), [at])
  assert.deepEqual(await find({ ImageIds: [ImageId] }, later), [at])
  assert.deepEqual(await find({}, { nowMs: START_MS + minute }), [at])
  await cloud.call('DisableImageDeprecation', { ImageId })
  assert.deepEqual(await find({}, later), [undefined])
  for (const ms of [START_MS, START_MS + 11 * 366 * 86_400_000]) {
    const input = { ImageId, DeprecateAt: new Date(ms) }
    const call = cloud.call('EnableImageDeprecation', input)
    assert.equal(await refusal(call), 'InvalidParameterValue')
  }
})

test('CopyImage makes an image that outlives its source, once for a token', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const SourceImageId = await registerImage(cloud)
  await cloud.call('CreateTags', { Resources: [SourceImageId], Tags: [tag('os', 'debian')] })
  const input = { SourceImageId, SourceRegion: REGION, Name: 'copy', ClientToken: 'once' }
  const { ImageId = '' } = await cloud.call('CopyImage', { ...input, CopyImageTags: true })
  const again = await cloud.call('CopyImage', { ...input, CopyImageTags: true })
  assert.equal(again.ImageId, ImageId)
  await cloud.call('DeregisterImage', { ImageId: SourceImageId })
  assert.equal((await run(cloud, { ImageId })).length, 1)
  const { Images } = await cloud.call('DescribeImages', { ImageIds: [ImageId] })
  assert.deepEqual(Images?.[0]?.Tags, [tag('os', 'debian')])
  for (const [change, code] of [
    [{}, 'InvalidAMIID.Unavailable'],
    [{ SourceImageId: ImageId, Name: 'copy' }, 'InvalidAMIName.Duplicate'],
    [{ SourceImageId: ImageId, SourceRegion: 'us-east-1' }, 'InvalidParameterValue'],
    [{ SourceImageId: ImageId, Encrypted: true }, 'UnsupportedOperation'],
    [{ SourceImageId: ImageId, Name: 'a' }, 'InvalidAMIName.Malformed'],
    [{ SourceImageId: ImageId, DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const asked = { SourceImageId, SourceRegion: REGION, Name: 'new', ...change }
    assert.equal(await refusal(cloud.call('CopyImage', asked)), code, JSON.stringify(change))
  }
})

test('image attributes refuse bad input and change nothing', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const { revision } = await cloud.state.fresh()
  const add = (...Add: object[]): object => ({ ImageId, LaunchPermission: { Add } })
  for (const [input, code] of [
    [{ ImageId }, 'MissingParameter'],
    [{ ImageId, Description: { Value: 'x'.repeat(256) } }, 'InvalidParameterValue'],
    [{ ImageId, Attribute: 'kernel', Value: 'x' }, 'InvalidParameterValue'],
    [{ ImageId, UserIds: [OTHER_ACCOUNT] }, 'MissingParameter'],
    [add({ UserId: '1234' }), 'InvalidAMIAttributeItemValue'],
    [add({ UserId: '999999999999' }), 'InvalidAMIAttributeItemValue'],
    [add({}), 'MissingParameter'],
    [add({ OrganizationArn: 'arn:aws:organizations::1:organization/o-1' }), 'UnsupportedOperation'],
    [{ ...add({ Group: 'all' }), ImageId: 'ami-01234567' }, 'InvalidAMIID.NotFound'],
    [{ ImageId, ImdsSupport: { Value: 'v2.0' } }, 'UnsupportedOperation'],
    [{ ...add({ Group: 'all' }), DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = modify(cloud, input as Ec2Inputs['ModifyImageAttribute'])
    assert.equal(await refusal(call), code, JSON.stringify(input))
  }
  const attribute = cloud.call('DescribeImageAttribute', { ImageId, Attribute: 'uefiData' })
  assert.equal(await refusal(attribute), 'UnsupportedOperation')
  assert.equal((await cloud.state.fresh()).revision, revision)
})

async function modify(
  cloud: Cloud,
  input: Ec2Inputs['ModifyImageAttribute'],
  as: object = {},
): Promise<void> {
  await cloud.call('ModifyImageAttribute', input, as)
}

async function permissions(cloud: Cloud, ImageId: string): Promise<unknown> {
  const input = { ImageId, Attribute: 'launchPermission' as const }
  return (await cloud.call('DescribeImageAttribute', input)).LaunchPermissions
}

function tag(Key: string, Value: string): { Key: string; Value: string } {
  return { Key, Value }
}
