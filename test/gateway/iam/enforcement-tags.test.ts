// Tags and policies: nobody gives or takes a tag to get past a policy.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OTHER_ACCOUNT } from '../ec2/support.ts'
import { guarded, OK, outcome } from './guarded.ts'

const TEAM = { StringEquals: { 'aws:ResourceTag/Team': 'red' } }

test('who may only touch what has a tag cannot give a resource that tag', async (t) => {
  const { cloud, as } = await guarded(t)
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.1.0.0/16' })
  const id = Vpc?.VpcId ?? ''
  const tags = [{ Key: 'Team', Value: 'red' }]
  const alice = as({ Condition: TEAM })
  assert.equal(await outcome(alice('DeleteVpc', { VpcId: id })), `denied ec2:DeleteVpc vpc/${id}`)
  const tagging = alice('CreateTags', { Resources: [id], Tags: tags })
  assert.equal(await outcome(tagging), `denied ec2:CreateTags vpc/${id}`)
  await cloud.call('CreateTags', { Resources: [id], Tags: tags })
  assert.equal(await outcome(alice('DeleteVpc', { VpcId: id })), OK)
})

test('who may tag only what they make cannot tag what is there', async (t) => {
  const { cloud, as } = await guarded(t)
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.1.0.0/16' })
  const id = Vpc?.VpcId ?? ''
  const tags = [{ Key: 'Team', Value: 'red' }]
  const alice = as([
    { Action: 'ec2:CreateVpc' },
    {
      Action: 'ec2:CreateTags',
      Condition: { StringEquals: { 'ec2:CreateAction': 'CreateVpc' } },
    },
  ])
  const made = {
    CidrBlock: '10.2.0.0/16',
    TagSpecifications: [{ ResourceType: 'vpc', Tags: tags }],
  }
  assert.equal(await outcome(alice('CreateVpc', made as never)), OK)
  const later = alice('CreateTags', { Resources: [id], Tags: tags })
  assert.equal(await outcome(later), `denied ec2:CreateTags vpc/${id}`)
})

test('who may not tag cannot tag at the making either', async (t) => {
  const { as } = await guarded(t)
  const tags = [{ Key: 'Team', Value: 'red' }]
  const made = {
    CidrBlock: '10.2.0.0/16',
    TagSpecifications: [{ ResourceType: 'vpc', Tags: tags }],
  }
  const alice = as({ NotAction: 'ec2:CreateTags' })
  assert.equal(await outcome(alice('CreateVpc', made as never)), 'denied ec2:CreateTags vpc/*')
  assert.equal(await outcome(alice('CreateVpc', { CidrBlock: '10.2.0.0/16' })), OK)
})

test('tags can be demanded at the making, and their keys limited', async (t) => {
  const { as } = await guarded(t)
  const alice = as([
    { Action: 'ec2:CreateTags' },
    {
      Action: 'ec2:CreateVpc',
      Condition: {
        StringEquals: { 'aws:RequestTag/Team': ['red', 'blue'] },
        'ForAllValues:StringEquals': { 'aws:TagKeys': ['Team', 'Cost'] },
      },
    },
  ])
  const vpc = (tags: Record<string, string>) =>
    alice('CreateVpc', {
      CidrBlock: '10.2.0.0/16',
      TagSpecifications: [
        { ResourceType: 'vpc', Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) },
      ],
      DryRun: true,
    })
  assert.equal(await outcome(vpc({ Team: 'red' })), 'DryRunOperation')
  assert.equal(await outcome(vpc({ Team: 'red', Cost: '1' })), 'DryRunOperation')
  assert.equal(await outcome(vpc({ Team: 'green' })), 'denied ec2:CreateVpc vpc/*')
  assert.equal(await outcome(vpc({})), 'denied ec2:CreateVpc vpc/*')
  assert.equal(await outcome(vpc({ Team: 'red', Other: '1' })), 'denied ec2:CreateVpc vpc/*')
})

test('a tag cannot be taken away whose key is protected', async (t) => {
  const { cloud, as } = await guarded(t)
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.1.0.0/16' })
  const id = Vpc?.VpcId ?? ''
  const alice = as([
    {},
    {
      Effect: 'Deny',
      Action: ['ec2:CreateTags', 'ec2:DeleteTags'],
      Condition: { 'ForAnyValue:StringEquals': { 'aws:TagKeys': 'Team' } },
    },
  ])
  const drop = (Key: string) => alice('DeleteTags', { Resources: [id], Tags: [{ Key }] })
  assert.equal(await outcome(drop('Cost')), OK)
  assert.equal(await outcome(drop('Team')), `denied ec2:DeleteTags vpc/${id}`)
})

test('two tags that differ in case do not let a forged one stand for the true one', async (t) => {
  const { cloud, as } = await guarded(t)
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.1.0.0/16' })
  const id = Vpc?.VpcId ?? ''
  const tags = [
    { Key: 'Team', Value: 'blue' },
    { Key: 'team', Value: 'red' },
  ]
  await cloud.call('CreateTags', { Resources: [id], Tags: tags })
  const deny = { StringNotEquals: { 'aws:ResourceTag/Team': 'red' } }
  const alice = as([
    {},
    { Effect: 'Deny', Condition: { StringEquals: { 'aws:ResourceTag/Team': 'blue' } } },
  ])
  assert.equal(await outcome(alice('DeleteVpc', { VpcId: id })), `denied ec2:DeleteVpc vpc/${id}`)
  const other = as({ Condition: deny })
  assert.equal(await outcome(other('DeleteVpc', { VpcId: id })), `denied ec2:DeleteVpc vpc/${id}`)
})

test("another account's resource shows a condition nothing", async (t) => {
  const { cloud, as } = await guarded(t)
  const made = await cloud.call(
    'CreateVpc',
    { CidrBlock: '10.1.0.0/16' },
    { account: OTHER_ACCOUNT },
  )
  const id = made.Vpc?.VpcId ?? ''
  const tags = [{ Key: 'Team', Value: 'red' }]
  await cloud.call('CreateTags', { Resources: [id], Tags: tags }, { account: OTHER_ACCOUNT })
  const alice = as({ Condition: TEAM })
  assert.equal(await outcome(alice('DeleteVpc', { VpcId: id })), `denied ec2:DeleteVpc vpc/${id}`)
  assert.equal(await outcome(as({})('DeleteVpc', { VpcId: id })), 'InvalidVpcID.NotFound')
})
