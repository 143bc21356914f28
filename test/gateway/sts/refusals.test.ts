// What AssumeRole does not take.

import { test } from 'node:test'
import { openWorld, policyDocument, refused } from '../iam/world.ts'
import { mayAssume, newRole, RoleSessionName, trust } from './support.ts'

for (const [what, input, code, status] of [
  ['no ARN', { RoleArn: 'arn:aws:s3:::x/with/a/long/name' }, 'ValidationError', 400],
  ['an unknown role', { RoleArn: 'arn:aws:iam::123456789012:role/no' }, 'AccessDenied', 403],
  ['a session named with a slash', { RoleSessionName: 'a/b' }, 'ValidationError', 400],
  ['15 minutes less a second', { DurationSeconds: 899 }, 'ValidationError', 400],
  ['more than the role allows', { DurationSeconds: 7201 }, 'ValidationError', 400],
  ['13 hours', { DurationSeconds: 46_800 }, 'ValidationError', 400],
  ['a policy that is none', { Policy: '{"a":1}' }, 'MalformedPolicyDocument', 400],
  ['a long policy', { Policy: policyDocument('x:y'.repeat(700)) }, 'ValidationError', 400],
  [
    'a policy that is not there',
    { PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/None' }] },
    'MalformedPolicyDocument',
    400,
  ],
  ['a tag twice', { Tags: tags('a', 'A') }, 'InvalidInput', 400],
  ['tags that do not fit', { Tags: tags(...many()) }, 'PackedPolicyTooLarge', 400],
  ['a transitive key of no tag', { TransitiveTagKeys: ['x'] }, 'ValidationError', 400],
  [
    'a second factor',
    { SerialNumber: '123456789', TokenCode: '123456' },
    'UnsupportedOperation',
    400,
  ],
] as const) {
  test(`AssumeRole refuses ${what} with ${code}`, async (t) => {
    const world = await openWorld(t)
    const ann = await mayAssume(world, 'ann')
    const document = trust(['sts:AssumeRole', 'sts:TagSession'], world.account)
    const { Arn: RoleArn } = await newRole(world, document)
    await world.sts(ann).assumeRole({ RoleArn, RoleSessionName })
    const call = world.sts(ann).assumeRole({ RoleArn, RoleSessionName, ...(input as object) })
    await refused(call, code, status)
  })
}

function tags(...keys: readonly string[]): object[] {
  return keys.map((Key) => ({ Key, Value: 'v'.repeat(200) }))
}

function many(): string[] {
  return Array.from({ length: 40 }, (_, i) => `key-${i}`)
}
