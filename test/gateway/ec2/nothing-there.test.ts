// Describe actions of what nobody can make here: empty, with ids, filters and tokens checked; and
// what is the same for every account.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { loadModel } from '../../../gateway/aws/model.ts'
import { NOTHING_THERE } from '../../../gateway/ec2/nothing-there.ts'
import { openCloud, refusal } from './support.ts'

type Action = keyof typeof NOTHING_THERE

const MODEL = loadModel('ec2')

test('each of these actions answers an empty list, and refuses ids, filters and tokens', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const ask = async (action: Action, input: object): Promise<object> =>
    await cloud.call(action as 'DescribeVpcEndpoints', input as Ec2Inputs['DescribeVpcEndpoints'])
  for (const [action, nothing] of Object.entries(NOTHING_THERE) as [
    Action,
    { list: string; ids?: readonly [string, string]; filters: readonly string[] },
  ][]) {
    assert.deepEqual(await ask(action, {}), { [nothing.list]: [] }, action)
    const [member, notFound] = nothing.ids ?? []
    const asked = members(MODEL.ops[action]?.i)
    if (member !== undefined) {
      assert.ok(asked.includes(member), `${action} has no ${member}`)
      assert.equal(await refusal(ask(action, { [member]: ['x-01234567'] })), notFound, action)
    }
    assert.ok(members(MODEL.ops[action]?.o).includes(nothing.list), `${action}: ${nothing.list}`)
    const filter = asked.find((name) => name === 'Filters' || name === 'Filter')
    for (const Name of filter === undefined ? [] : nothing.filters) {
      assert.equal(
        await refusal(ask(action, { [filter ?? '']: [{ Name, Values: ['*'] }] })),
        'accepted',
      )
    }
    if (filter !== undefined) {
      const input = { [filter]: [{ Name: 'nonsense', Values: ['*'] }] }
      assert.equal(await refusal(ask(action, input)), 'InvalidParameterValue', action)
    }
    if (!asked.includes('NextToken')) continue
    const input = { NextToken: 'bm9uZQ' }
    assert.equal(await refusal(ask(action, input)), 'InvalidParameterValue', action)
  }
})

test('ids are long, ClassicLink is off for every VPC, and EBS is not encrypted unasked', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { Statuses } = await cloud.call('DescribeIdFormat', { Resource: 'instance' })
  assert.deepEqual(Statuses, [{ Resource: 'instance', UseLongIds: true }])
  const unknown = cloud.call('DescribeIdFormat', { Resource: 'spaceship' })
  assert.equal(await refusal(unknown), 'InvalidParameterValue')
  const whole = await cloud.call('DescribeAggregateIdFormat', {})
  assert.equal(whole.UseLongIdsAggregated, true)
  const { Vpcs } = await cloud.call('DescribeVpcClassicLink', {})
  assert.deepEqual(
    Vpcs?.map((vpc) => vpc.ClassicLinkEnabled),
    [false],
  )
  const input = { VpcIds: ['vpc-0123456789abcdef0'] }
  for (const action of ['DescribeVpcClassicLink', 'DescribeVpcClassicLinkDnsSupport'] as const) {
    assert.equal(await refusal(cloud.call(action, input)), 'InvalidVpcID.NotFound', action)
  }
  const ebs = await cloud.call('GetEbsEncryptionByDefault', {})
  assert.equal(ebs.EbsEncryptionByDefault, false)
})

function members(ref: unknown): string[] {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2].map(({ n }) => n) : []
}
