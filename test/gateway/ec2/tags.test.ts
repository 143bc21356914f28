// Tags: limits, additions and removals, and who may see them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tag } from '@aws-sdk/client-ec2'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
} from './support.ts'

async function tagsOf(cloud: Cloud, id: string): Promise<(string | undefined)[][]> {
  const Filters = [{ Name: 'resource-id', Values: [id] }]
  const { Tags } = await cloud.call('DescribeTags', { Filters })
  return (Tags ?? []).map((tag) => [tag.Key, tag.Value])
}

function create(cloud: Cloud, Resources: string[], Tags: Tag[]): Promise<string> {
  return refusal(cloud.call('CreateTags', { Resources, Tags }))
}

async function withInstance(t: Parameters<typeof openCloud>[0]): Promise<[Cloud, string, string]> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const image = await registerImage(cloud)
  const [id = ''] = await run(cloud, { ImageId: image })
  return [cloud, id, image]
}

test('CreateTags adds to what is there, on several resources at once', async (t) => {
  const [cloud, id, image] = await withInstance(t)
  const vpc = cloud.state.view().get('instance', id)?.vpc ?? ''
  assert.equal(await create(cloud, [id, image, vpc], [{ Key: 'a', Value: '1' }]), 'accepted')
  assert.equal(await create(cloud, [id], [{ Key: 'a', Value: '2' }, { Key: 'b' }]), 'accepted')
  assert.deepEqual(await tagsOf(cloud, id), [
    ['a', '2'],
    ['b', ''],
  ])
  assert.deepEqual(await tagsOf(cloud, vpc), [['a', '1']])
  const Filters = [{ Name: 'resource-type', Values: ['image'] }]
  const { Tags } = await cloud.call('DescribeTags', { Filters })
  assert.deepEqual(Tags, [{ Key: 'a', Value: '1', ResourceId: image, ResourceType: 'image' }])
})

for (const [what, tags, code] of [
  ['a key of 129 characters', [{ Key: 'k'.repeat(129), Value: '' }], 'InvalidParameterValue'],
  ['an empty key', [{ Key: '', Value: 'x' }], 'InvalidParameterValue'],
  ['no key', [{ Value: 'x' }], 'InvalidParameterValue'],
  ['a value of 257 characters', [{ Key: 'k', Value: 'v'.repeat(257) }], 'InvalidParameterValue'],
  ['a reserved key', [{ Key: 'aws:name', Value: 'x' }], 'InvalidParameterValue'],
  ['a key in other letters', [{ Key: 'AWS:name', Value: 'x' }], 'InvalidParameterValue'],
  ['a key twice', [{ Key: 'k' }, { Key: 'k', Value: '2' }], 'InvalidParameterValue'],
  ['no tag', [], 'MissingParameter'],
  [
    '51 tags',
    Array.from({ length: 51 }, (_, i) => ({ Key: `k${i}`, Value: '' })),
    'TagLimitExceeded',
  ],
] as const satisfies readonly (readonly [string, readonly Tag[], string])[]) {
  test(`CreateTags with ${what} says ${code} and writes nothing`, async (t) => {
    const [cloud, id] = await withInstance(t)
    assert.equal(await create(cloud, [id], structuredClone(tags) as Tag[]), code)
    assert.deepEqual(await tagsOf(cloud, id), [])
  })
}

test('CreateTags counts what a resource has already', async (t) => {
  const [cloud, id] = await withInstance(t)
  const tags = Array.from({ length: 50 }, (_, i) => ({ Key: `k${i}`, Value: '' }))
  assert.equal(await create(cloud, [id], tags), 'accepted')
  assert.equal(await create(cloud, [id], [{ Key: 'k0', Value: 'new' }]), 'accepted')
  assert.equal(await create(cloud, [id], [{ Key: 'one more' }]), 'TagLimitExceeded')
})

test('CreateTags on one unknown resource tags none', async (t) => {
  const [cloud, id] = await withInstance(t)
  const tags = [{ Key: 'a', Value: '1' }]
  for (const [other, code] of [
    ['i-0123456789abcdef0', 'InvalidInstanceID.NotFound'],
    ['subnet-0123456789abcdef0', 'InvalidSubnetID.NotFound'],
    ['nothing', 'InvalidID'],
    ['zzz-01234567', 'InvalidID'],
  ] as const) {
    assert.equal(await create(cloud, [id, other], tags), code)
  }
  const call = { Resources: [id], Tags: tags }
  const foreign = cloud.call('CreateTags', call, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(foreign), 'InvalidInstanceID.NotFound')
  const dry = cloud.call('CreateTags', { ...call, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  assert.deepEqual(await tagsOf(cloud, id), [])
})

test('CreateTags on another account’s public image is refused', async (t) => {
  const [cloud, , image] = await withInstance(t)
  await cloud.state.update(async (tx) => {
    const record = await tx.get('image', image)
    assert.ok(record)
    await tx.put('image', [image], { ...record, isPublic: true })
  })
  const input = { Resources: [image], Tags: [{ Key: 'a' }] }
  const call = cloud.call('CreateTags', input, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(call), 'InvalidAMIID.NotFound')
})

test('CreateTags keeps keys that mean something to objects', async (t) => {
  const [cloud, id] = await withInstance(t)
  const tags = [
    { Key: '__proto__', Value: '1' },
    { Key: 'constructor', Value: '2' },
  ]
  assert.equal(await create(cloud, [id], tags), 'accepted')
  await cloud.restart()
  assert.deepEqual(await tagsOf(cloud, id), [
    ['__proto__', '1'],
    ['constructor', '2'],
  ])
})

for (const [what, tags, left] of [
  ['a value that is the tag’s', [{ Key: 'a', Value: '1' }], ['b', 'c']],
  ['another value', [{ Key: 'a', Value: '2' }], ['a', 'b', 'c']],
  ['no value', [{ Key: 'a' }], ['b', 'c']],
  [
    'an empty value',
    [
      { Key: 'a', Value: '' },
      { Key: 'c', Value: '' },
    ],
    ['a', 'b'],
  ],
  ['an unknown key', [{ Key: 'z' }], ['a', 'b', 'c']],
  ['no tags at all', undefined, []],
] as const) {
  test(`DeleteTags with ${what} leaves ${JSON.stringify(left)}`, async (t) => {
    const [cloud, id] = await withInstance(t)
    await create(
      cloud,
      [id],
      [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '2' },
        { Key: 'c', Value: '' },
      ],
    )
    await cloud.call('DeleteTags', { Resources: [id], Tags: tags?.map((tag) => ({ ...tag })) })
    assert.deepEqual(
      (await tagsOf(cloud, id)).map(([key]) => key),
      left,
    )
  })
}

test('DescribeTags shows tags of terminated instances, and nobody else’s, in pages', async (t) => {
  const [cloud, id] = await withInstance(t)
  const tags = Array.from({ length: 12 }, (_, i) => ({ Key: `k${i}`, Value: `${i}` }))
  await create(cloud, [id], tags)
  await report(cloud.state, id, 'terminated')
  const first = await cloud.call('DescribeTags', { MaxResults: 10 })
  assert.equal(first.Tags?.length, 10)
  const second = await cloud.call('DescribeTags', { MaxResults: 10, NextToken: first.NextToken })
  const keys = [...(first.Tags ?? []), ...(second.Tags ?? [])].map((tag) => tag.Key)
  assert.deepEqual(keys.toSorted(), tags.map((tag) => tag.Key).toSorted())
  const others = await cloud.call('DescribeTags', {}, { account: OTHER_ACCOUNT })
  assert.deepEqual(others.Tags, [])
  const Filters = [{ Name: 'tag:k3', Values: ['3'] }]
  const found = await cloud.call('DescribeTags', { Filters })
  assert.deepEqual(
    found.Tags?.map((tag) => tag.Key),
    ['k3'],
  )
})
