// Metadata options of launches, instances and accounts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { launch, openNet, shownInstance } from './interface-support.ts'
import { OTHER_ACCOUNT, refusal } from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'

type Options = NonNullable<Ec2Inputs['RunInstances']['MetadataOptions']>

for (const [options, outcome] of [
  [{ HttpTokens: 'optional' }, 'accepted'],
  [{ HttpPutResponseHopLimit: 64, InstanceMetadataTags: 'enabled' }, 'accepted'],
  [{ HttpEndpoint: 'disabled' }, 'accepted'],
  [{ HttpTokens: 'sometimes' as 'optional' }, 'InvalidParameterValue'],
  [{ HttpTokens: 'no-preference' as 'optional' }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: 0 }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: -1 }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: 65 }, 'InvalidParameterValue'],
  [{ HttpEndpoint: 'yes' as 'enabled' }, 'InvalidParameterValue'],
] as const satisfies readonly (readonly [Options, string])[]) {
  test(`metadata options ${JSON.stringify(options)} are ${outcome} in a launch and later`, async (t) => {
    const net = await openNet(t)
    const atLaunch = launch(net, { SubnetId: net.a, MetadataOptions: options })
    assert.equal(await refusal(atLaunch), outcome)
    const { InstanceId } = await launch(net, { SubnetId: net.a })
    const ask = { InstanceId, ...options }
    const later = net.cloud.call('ModifyInstanceMetadataOptions', ask)
    assert.equal(await refusal(later), outcome)
    if (outcome !== 'accepted') return
    const { MetadataOptions } = await shownInstance(net, InstanceId)
    assert.deepEqual({ ...MetadataOptions, ...options }, MetadataOptions)
  })
}

test('ModifyInstanceMetadataOptions answers what the instance has then', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const ask = { InstanceId, HttpTokens: 'optional' as const, HttpProtocolIpv6: 'enabled' as const }
  const answer = await net.cloud.call('ModifyInstanceMetadataOptions', ask)
  assert.deepEqual(answer.InstanceMetadataOptions, {
    State: 'pending',
    HttpTokens: 'optional',
    HttpPutResponseHopLimit: 2,
    HttpEndpoint: 'enabled',
    HttpProtocolIpv6: 'enabled',
    InstanceMetadataTags: 'disabled',
  })
  const modify = (input: object, account?: string): Promise<string> =>
    refusal(
      net.cloud.call(
        'ModifyInstanceMetadataOptions',
        { InstanceId, ...input },
        account === undefined ? {} : { account },
      ),
    )
  assert.equal(await modify({ InstanceId: UNKNOWN }), 'InvalidInstanceID.NotFound')
  assert.equal(await modify({}, OTHER_ACCOUNT), 'InvalidInstanceID.NotFound')
  assert.equal(await modify({ DryRun: true }), 'DryRunOperation')
})

test('an account’s defaults hold for launches that say nothing', async (t) => {
  const net = await openNet(t)
  const modify = (input: Ec2Inputs['ModifyInstanceMetadataDefaults']): Promise<string> =>
    refusal(net.cloud.call('ModifyInstanceMetadataDefaults', input))
  assert.equal(await modify({ HttpTokens: 'optional', HttpPutResponseHopLimit: 5 }), 'accepted')
  assert.equal(await modify({ HttpTokensEnforced: 'enabled' }), 'UnsupportedOperation')
  const get = async (account?: string): Promise<unknown> =>
    (
      await net.cloud.call(
        'GetInstanceMetadataDefaults',
        {},
        account === undefined ? {} : { account },
      )
    ).AccountLevel?.HttpTokens
  assert.deepEqual([await get(), await get(OTHER_ACCOUNT)], ['optional', undefined])
  const one = await launch(net, { SubnetId: net.a, MetadataOptions: { HttpTokens: 'required' } })
  assert.equal(one.MetadataOptions?.HttpTokens, 'required')
  assert.equal(one.MetadataOptions?.HttpPutResponseHopLimit, 5)
  assert.equal(await modify({ HttpPutResponseHopLimit: -1 }), 'accepted')
  const two = await launch(net, { SubnetId: net.a })
  assert.equal(two.MetadataOptions?.HttpTokens, 'optional')
  assert.equal(two.MetadataOptions?.HttpPutResponseHopLimit, 2)
  assert.equal(await modify({ HttpTokens: 'no-preference' }), 'accepted')
  assert.equal(await get(), undefined)
})
