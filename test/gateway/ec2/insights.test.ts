// Network insights: paths that are kept, and what an analysis says of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Call,
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  run,
  setHost,
} from './support.ts'

async function twoInstances(cloud: Cloud): Promise<[string, string]> {
  const ImageId = await registerImage(cloud)
  const inRack = async (rack: string): Promise<string> => {
    const Placement = { AvailabilityZone: `${REGION}-${rack}` }
    return (await run(cloud, { ImageId, Placement }))[0] ?? ''
  }
  return [await inRack('a'), await inRack('b')]
}

async function createPath(
  call: Call,
  ends: { Source: string; Destination: string },
  ClientToken: string,
): Promise<string> {
  const { NetworkInsightsPath: path } = await call('CreateNetworkInsightsPath', {
    ...{ ...ends, Protocol: 'tcp', DestinationPort: 80, ClientToken },
  })
  return path?.NetworkInsightsPathId ?? ''
}

test('an analysis says which group lets nothing pass, and later that one does', async (t) => {
  const cloud = await openCloud(t)
  const [Source, Destination] = await twoInstances(cloud)
  const id = await createPath(cloud.call, { Source, Destination }, 'one')
  assert.match(id, /^nip-[0-9a-f]{17}$/)
  assert.equal(await createPath(cloud.call, { Source, Destination }, 'one'), id)
  const { NetworkInsightsPaths: paths } = await cloud.call('DescribeNetworkInsightsPaths', {
    Filters: [{ Name: 'source', Values: [Source] }],
  })
  assert.deepEqual(
    paths?.map((path) => [path.NetworkInsightsPathId, path.Protocol, path.DestinationPort]),
    [[id, 'tcp', 80]],
  )

  const card = cloud.state.view().by('interface', 'instance', Destination)[0]
  const [groupId = ''] = card?.securityGroups ?? []
  const setRules = (rules: readonly object[]) =>
    cloud.state.update(async (tx) => {
      const group = await tx.get('security-group', groupId)
      assert.ok(group)
      await tx.put('security-group', [groupId], { ...group, rules: rules as typeof group.rules })
    })
  const analyse = async (ClientToken: string) => {
    const asked = { NetworkInsightsPathId: id, ClientToken }
    return (await cloud.call('StartNetworkInsightsAnalysis', asked)).NetworkInsightsAnalysis
  }
  await setRules([])
  const no = await analyse('a')
  assert.deepEqual([no?.Status, no?.NetworkPathFound], ['succeeded', false])
  const [why] = no?.Explanations ?? []
  assert.equal(why?.ExplanationCode, 'ENI_SG_RULES_MISMATCH')
  assert.deepEqual([why?.Direction, why?.Component?.Id], ['egress', groupId])

  const any = { protocol: '-1', fromPort: -1, toPort: -1, description: '', group: '' }
  const rule = { ...any, ipv4: '0.0.0.0/0', ipv6: '', prefixList: '' }
  await setRules([
    { ...rule, id: 'sgr-1', egress: true },
    { ...rule, id: 'sgr-2', egress: false },
  ])
  const alone = await analyse('b')
  assert.equal(alone?.Explanations?.[0]?.ExplanationCode, 'BAD_STATE', 'there is no tunnel yet')
  for (const rack of ['a', 'b']) {
    await setHost(cloud.state, rack, `${rack}0`, { wireguardPublicKey: rack })
  }
  const yes = await analyse('c')
  assert.deepEqual([yes?.NetworkPathFound, yes?.Explanations], [true, []])
  assert.equal(yes?.ForwardPathComponents?.[0]?.Component?.Id, Source)
  assert.ok((yes?.ReturnPathComponents ?? []).length > 0)

  const { NetworkInsightsAnalyses: all } = await cloud.call('DescribeNetworkInsightsAnalyses', {
    NetworkInsightsPathId: id,
  })
  assert.equal(all?.length, 3)
  assert.equal(
    await refusal(cloud.call('DeleteNetworkInsightsPath', { NetworkInsightsPathId: id })),
    'AnalysisExistsForNetworkInsightsPath',
  )
  for (const one of all ?? []) {
    const { NetworkInsightsAnalysisId } = one
    await cloud.call('DeleteNetworkInsightsAnalysis', { NetworkInsightsAnalysisId })
  }
  await cloud.call('DeleteNetworkInsightsPath', { NetworkInsightsPathId: id })
  assert.equal(
    await refusal(cloud.call('DescribeNetworkInsightsPaths', { NetworkInsightsPathIds: [id] })),
    'InvalidNetworkInsightsPathId.NotFound',
  )
})

test('paths of other accounts and to what is no end are refused by name', async (t) => {
  const cloud = await openCloud(t)
  const [Source, Destination] = await twoInstances(cloud)
  const id = await createPath(cloud.call, { Source, Destination }, 'one')
  const foreign = { account: OTHER_ACCOUNT }
  const path = { Source, Destination, Protocol: 'tcp', ClientToken: 'x' } as const
  for (const [code, attempt] of [
    [
      'InvalidNetworkInsightsPathId.NotFound',
      () =>
        cloud.call(
          'StartNetworkInsightsAnalysis',
          { NetworkInsightsPathId: id, ClientToken: 'y' },
          foreign,
        ),
    ],
    ['InvalidInstanceID.NotFound', () => cloud.call('CreateNetworkInsightsPath', path, foreign)],
    [
      'InvalidParameterValue',
      () => cloud.call('CreateNetworkInsightsPath', { ...path, Source: 'tgw-0123' }),
    ],
    [
      'InvalidParameterValue',
      () => cloud.call('CreateNetworkInsightsPath', { ...path, DestinationPort: 65_536 }),
    ],
    [
      'MissingParameter',
      () => cloud.call('CreateNetworkInsightsPath', { ...path, Destination: undefined }),
    ],
    ['DryRunOperation', () => cloud.call('CreateNetworkInsightsPath', { ...path, DryRun: true })],
    [
      'UnsupportedOperation',
      () =>
        cloud.call('CreateNetworkInsightsPath', {
          ...path,
          FilterAtSource: { SourceAddress: '10.0.0.0/8' },
        }),
    ],
  ] as const) {
    assert.equal(await refusal(attempt()), code)
  }
})
