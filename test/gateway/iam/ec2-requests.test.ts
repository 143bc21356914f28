// What each call to EC2 asks policies for: resources by id, by name, by association, and what a
// condition sees of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ec2Parts, ec2Handlers } from '../../../gateway/ec2/index.ts'
import { ec2Asks } from '../../../gateway/iam/ec2-requests.ts'
import { resourceUses } from '../../../gateway/iam/ec2-resource-types.ts'
import { ACCOUNT, REGION } from '../ec2/support.ts'
import { guarded } from './guarded.ts'

const HEX = '0123456789abcdef0'
const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`

test('every action that EC2 answers is documented with its resources', async (t) => {
  const { cloud } = await guarded(t)
  const handlers = ec2Handlers({} as Ec2Parts)
  const unknown = Object.keys(handlers).filter((action) => resourceUses(action) === null)
  assert.deepEqual(unknown, [])
  const place = { view: cloud.state.view(), region: REGION, account: ACCOUNT }
  for (const action of Object.keys(handlers)) {
    for (const { action: asked, resource } of ec2Asks(place, action, {})) {
      assert.equal(asked, `ec2:${action}`)
      // Groups of the default VPC are known without a name.
      assert.match(
        resource,
        /^(?:\*|arn:aws:ec2:mallee-1:\d*:(?:[a-z-]+\/\*|security-group\/sg-\w+))$/,
      )
    }
  }
})

type Row = readonly [action: string, input: object, asks: string]

/** Resources without `arn:aws:ec2:<region>:<account>:`; of another action with that. */
const BY_ID: readonly Row[] = [
  ['DescribeInstances', { InstanceIds: [`i-${HEX}`] }, '*'],
  ['DescribeVpcAttribute', { VpcId: `vpc-${HEX}` }, `vpc/vpc-${HEX}`],
  ['CreateDefaultVpc', {}, '*'],
  ['StartInstances', { InstanceIds: ['i-1', 'i-2'] }, 'instance/i-1 instance/i-2'],
  ['TerminateInstances', { InstanceIds: ['i-1', 'i-1'] }, 'instance/i-1'],
  ['TerminateInstances', {}, 'instance/*'],
  ['CreateVpc', { CidrBlock: '10.0.0.0/16' }, 'vpc/*'],
  ['DeleteVpc', { VpcId: 'vpc-1' }, 'vpc/vpc-1'],
  ['CreateSubnet', { VpcId: 'vpc-1' }, 'subnet/* vpc/vpc-1'],
  ['CreateSecurityGroup', { VpcId: 'vpc-1', GroupName: 'web' }, 'security-group/* vpc/vpc-1'],
  ['CreateSecurityGroup', { GroupName: 'web' }, 'security-group/*'],
  ['DeleteSecurityGroup', { GroupId: 'sg-1' }, 'security-group/sg-1'],
  [
    'CreateNetworkInterface',
    { SubnetId: 'subnet-1', Groups: ['sg-1'] },
    'network-interface/* security-group/sg-1 subnet/subnet-1',
  ],
  [
    'AttachNetworkInterface',
    { InstanceId: 'i-1', NetworkInterfaceId: 'eni-1' },
    'instance/i-1 network-interface/eni-1',
  ],
  [
    'AssociateAddress',
    { AllocationId: 'eipalloc-1', InstanceId: 'i-1' },
    'elastic-ip/eipalloc-1 instance/i-1',
  ],
  ['AllocateAddress', {}, 'elastic-ip/*'],
  [
    'CreateNatGateway',
    { SubnetId: 'subnet-1', AllocationId: 'eipalloc-1' },
    'elastic-ip/eipalloc-1 natgateway/* subnet/subnet-1',
  ],
  ['CreateKeyPair', { KeyName: 'k' }, 'key-pair/k'],
  ['DeleteKeyPair', { KeyName: 'k' }, 'key-pair/k'],
  ['RegisterImage', { Name: 'a' }, ':image/*'],
  ['DeregisterImage', { ImageId: 'ami-1' }, ':image/ami-1'],
  ['CreateImage', { InstanceId: 'i-1' }, ':image/* instance/i-1 :snapshot/*'],
  ['CreateVolume', { SnapshotId: 'snap-1' }, ':snapshot/snap-1 volume/*'],
  ['CreateSnapshot', { VolumeId: 'vol-1' }, ':snapshot/* volume/vol-1'],
  ['AttachVolume', { InstanceId: 'i-1', VolumeId: 'vol-1' }, 'instance/i-1 volume/vol-1'],
  ['CreateLaunchTemplate', { LaunchTemplateName: 'a' }, 'launch-template/*'],
  ['DeleteLaunchTemplate', { LaunchTemplateId: 'lt-1' }, 'launch-template/lt-1'],
  ['CreatePlacementGroup', { GroupName: 'a' }, 'placement-group/a'],
  ['CreateRoute', { RouteTableId: 'rtb-1', GatewayId: 'igw-1' }, 'route-table/rtb-1'],
  [
    'AssociateRouteTable',
    { RouteTableId: 'rtb-1', SubnetId: 'subnet-1' },
    'route-table/rtb-1 subnet/subnet-1',
  ],
  [
    'CreateVpcPeeringConnection',
    { VpcId: 'vpc-1', PeerVpcId: 'vpc-2' },
    'vpc/vpc-1 vpc-peering-connection/*',
  ],
  [
    'ModifyInstanceAttribute',
    { InstanceId: 'i-1', Groups: ['sg-1'] },
    'instance/i-1 security-group/sg-1',
  ],
  [
    'ModifySecurityGroupRules',
    {
      GroupId: 'sg-1',
      SecurityGroupRules: [{ SecurityGroupRuleId: 'sgr-1', SecurityGroupRule: {} }],
    },
    'security-group/sg-1 security-group-rule/sgr-1',
  ],
  [
    'CreateNetworkInsightsPath',
    { Source: `i-${HEX}`, Destination: `igw-${HEX}` },
    `instance/i-${HEX} internet-gateway/igw-${HEX} network-insights-path/*`,
  ],
  [
    'StartNetworkInsightsAnalysis',
    { NetworkInsightsPathId: 'nip-1' },
    'network-insights-analysis/* network-insights-path/nip-1',
  ],
  [
    'CreateTags',
    { Resources: [`i-${HEX}`, `vpc-${HEX}`], Tags: [] },
    `instance/i-${HEX} vpc/vpc-${HEX}`,
  ],
  ['CreateTags', { Resources: ['nonsense'], Tags: [] }, '*'],
  ['DeleteTags', { Resources: [`ami-${HEX}`] }, `:image/ami-${HEX}`],
  ['CreateTags', { Resources: [`aki-${HEX}`], Tags: [] }, `:image/aki-${HEX}`],
  [
    'CreateVpc',
    { TagSpecifications: [{ ResourceType: 'vpc', Tags: [{ Key: 'a', Value: 'b' }] }] },
    'vpc/* ec2:CreateTags=vpc/*',
  ],
  ['CreateVpc', { TagSpecifications: [{ ResourceType: 'vpc', Tags: [] }] }, 'vpc/*'],
  [
    'AuthorizeSecurityGroupIngress',
    {
      GroupId: 'sg-1',
      TagSpecifications: [
        { ResourceType: 'security-group-rule', Tags: [{ Key: 'a', Value: 'b' }] },
      ],
    },
    'security-group/sg-1 ec2:CreateTags=security-group-rule/*',
  ],
]

for (const [action, input, want] of BY_ID) {
  test(`${action} ${JSON.stringify(input)} is about ${want}`, async (t) => {
    const { cloud } = await guarded(t)
    assert.equal(shown(cloud.state.view(), action, input), want)
  })
}

function shown(view: Parameters<typeof ec2Asks>[0]['view'], action: string, input: object): string {
  return ec2Asks({ view, region: REGION, account: ACCOUNT }, action, input)
    .map((ask) => {
      const resource = ask.resource.replace(`${EC2}:`, '').replace(`arn:aws:ec2:${REGION}::`, ':')
      return ask.action === `ec2:${action}` ? resource : `${ask.action}=${resource}`
    })
    .join(' ')
}
