// Filters: the engine on plain things, and those of DescribeInstances on instances.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { absent, type Filterable, matching } from '../../../gateway/ec2/filters.ts'
import { openCloud, REGION, refusal, registerImage, run } from './support.ts'

interface Thing {
  readonly name: string
  readonly size: number
  readonly tags: readonly { Key: string; Value: string }[]
}

const THINGS: readonly Thing[] = [
  { name: 'web-1', size: 1, tags: [{ Key: 'env', Value: 'prod' }] },
  { name: 'web-2', size: 2, tags: [{ Key: 'env', Value: 'test' }] },
  { name: 'db*', size: 3, tags: [{ Key: '__proto__', Value: 'x' }] },
  { name: '', size: 4, tags: [] },
]
const FILTERABLE: Filterable<Thing> = {
  fields: {
    ...absent('platform'),
    name: (thing) => thing.name,
    size: (thing) => thing.size,
    big: (thing) => thing.size > 2,
    nothing: () => undefined,
  },
  tags: (thing) => thing.tags,
}

function sizes(...filters: [string, ...string[]][]): number[] {
  const asked = filters.map(([Name, ...Values]) => ({ Name, Values }))
  return matching(THINGS, asked, FILTERABLE).map((thing) => thing.size)
}

for (const [what, filters, want] of [
  ['no filter', [], [1, 2, 3, 4]],
  ['a whole value', [['name', 'web-1']], [1]],
  ['part of a value', [['name', 'web']], []],
  ['another case', [['name', 'WEB-1']], []],
  ['two values', [['name', 'web-1', 'web-2']], [1, 2]],
  [
    'two filters',
    [
      ['name', 'web-*'],
      ['size', '2'],
    ],
    [2],
  ],
  [
    'two filters of one name',
    [
      ['name', 'web-*'],
      ['name', '*-2'],
    ],
    [2],
  ],
  ['a star', [['name', '*']], [1, 2, 3, 4]],
  ['a star inside', [['name', 'w*1']], [1]],
  ['many stars', [['name', '*e*b*-*']], [1, 2]],
  ['a question mark', [['name', 'web-?']], [1, 2]],
  ['a question mark for nothing', [['name', 'web-1?']], []],
  ['an escaped star', [['name', 'db\\*']], [3]],
  ['an escaped star that is none', [['name', 'web-\\*']], []],
  ['a backslash at the end', [['name', 'db\\']], []],
  ['an empty value', [['name', '']], [4]],
  ['a number', [['size', '3']], [3]],
  ['a truth', [['big', 'true']], [3, 4]],
  ['a thing without the field', [['nothing', '*']], []],
  ['a field that nothing has', [['platform', '*']], []],
  ['a tag', [['tag:env', 'prod']], [1]],
  ['a tag with a star', [['tag:env', '*t*']], [2]],
  ['a tag key', [['tag-key', 'env']], [1, 2]],
  ['a tag key that objects have', [['tag:__proto__', 'x']], [3]],
  ['a tag that nothing has', [['tag:owner', '*']], []],
] as const satisfies readonly (readonly [string, [string, ...string[]][], number[]])[]) {
  test(`matching with ${what} finds ${JSON.stringify(want)}`, () => {
    assert.deepEqual(sizes(...filters), want)
  })
}

for (const [what, filter, code] of [
  ['an unknown name', { Name: 'colour', Values: ['red'] }, 'InvalidParameterValue'],
  ['a name that every object has', { Name: 'toString', Values: ['*'] }, 'InvalidParameterValue'],
  ['no name', { Values: ['*'] }, 'InvalidParameterValue'],
  ['no value', { Name: 'name', Values: [] }, 'InvalidParameterValue'],
  ['201 values', { Name: 'name', Values: Array<string>(201).fill('x') }, 'FilterLimitExceeded'],
] as const) {
  test(`matching with ${what} says ${code}`, () => {
    assert.throws(
      () => matching(THINGS, [{ ...filter, Values: [...filter.Values] }], FILTERABLE),
      (error) => error instanceof ApiError && error.code === code,
    )
  })
}

test('matching takes no longer for patterns made to be slow', () => {
  const things = [{ ...(THINGS[0] as Thing), name: 'a'.repeat(2_000) }]
  const Values = Array<string>(200).fill(`${'a*'.repeat(60)}b`)
  const startedAt = process.hrtime.bigint()
  assert.deepEqual(matching(things, [{ Name: 'name', Values }], FILTERABLE), [])
  assert.ok(process.hrtime.bigint() - startedAt < 5_000_000_000n)
})

test('DescribeInstances finds instances by every kind of filter', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const [id = ''] = await run(cloud, {
    ImageId,
    Placement: { AvailabilityZone: `${REGION}-b` },
    TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'role', Value: 'db' }] }],
  })
  await run(cloud, { ImageId, Placement: { AvailabilityZone: `${REGION}-a` } })
  const record = cloud.state.view().get('instance', id)
  const card = cloud.state.view().get('interface', record?.interfaces[0] ?? '')
  for (const [Name, value] of [
    ['availability-zone', `${REGION}-b`],
    ['availability-zone-id', `${REGION}-az2`],
    ['instance-id', id],
    ['network-interface.addresses.private-ip-address', card?.ipv4],
    ['network-interface.ipv6-addresses.ipv6-address', card?.ipv6],
    ['network-interface.mac-address', card?.mac],
    ['network-interface.attachment.instance-id', id],
    ['private-ip-address', card?.ipv4],
    ['reservation-id', record?.reservation],
    ['subnet-id', record?.subnet],
    ['tag:role', 'd?'],
    ['tag-key', 'role'],
  ] as const) {
    const Filters = [{ Name, Values: [value ?? ''] }]
    const { Reservations } = await cloud.call('DescribeInstances', { Filters })
    const ids = Reservations?.flatMap((one) => one.Instances ?? []).map((one) => one.InstanceId)
    assert.deepEqual(ids, [id], Name)
  }
  for (const [Name, value] of [
    ['instance-state-name', 'pending'],
    ['instance-state-code', '0'],
    ['network-interface.availability-zone', `${REGION}-*`],
    ['launch-time', '2026-11-22T12*'],
    ['instance.group-name', 'default'],
    ['owner-id', '111122223333'],
  ] as const) {
    const Filters = [{ Name, Values: [value] }]
    const { Reservations } = await cloud.call('DescribeInstances', { Filters })
    assert.equal(Reservations?.flatMap((one) => one.Instances ?? []).length, 2, Name)
  }
  const unknown = cloud.call('DescribeInstances', { Filters: [{ Name: 'colour', Values: ['x'] }] })
  assert.equal(await refusal(unknown), 'InvalidParameterValue')
})
