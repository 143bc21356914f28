// The walk through what guards EC2's networks: security groups, network ACLs, prefix lists.

import type { Row } from './row.ts'

const WEB = {
  ...{ IpProtocol: 'tcp', FromPort: 80, ToPort: 80 },
  IpRanges: [{ CidrIp: '192.0.2.0/24', Description: 'web' }],
}
const OUT = {
  ...{ IpProtocol: 'udp', FromPort: 53, ToPort: 53 },
  Ipv6Ranges: [{ CidrIpv6: '2001:db8::/32', Description: 'names' }],
}
const ENTRY = { RuleNumber: 90, Protocol: '6', Egress: false, PortRange: { From: 22, To: 22 } }

export const FIREWALL_ROWS: readonly Row[] = [
  [
    'CreateManagedPrefixList',
    {
      ...{ PrefixListName: 'walk', AddressFamily: 'IPv4', MaxEntries: 5 },
      Entries: [{ Cidr: '192.0.2.0/24', Description: 'one' }],
    },
    { want: { 'PrefixList.Version': 1 }, keep: { list: 'PrefixList.PrefixListId' } },
  ],
  [
    'ModifyManagedPrefixList',
    { PrefixListId: '<list>', CurrentVersion: 1, AddEntries: [{ Cidr: '198.51.100.0/24' }] },
    { want: { 'PrefixList.PrefixListId': '<list>' } },
  ],
  [
    'RestoreManagedPrefixListVersion',
    { PrefixListId: '<list>', PreviousVersion: 1, CurrentVersion: 2 },
    { want: { 'PrefixList.PrefixListId': '<list>' } },
  ],
  [
    'GetManagedPrefixListEntries',
    { PrefixListId: '<list>' },
    { want: { 'Entries.length': 1, 'Entries.0.Cidr': '192.0.2.0/24' } },
  ],
  [
    'DescribeManagedPrefixLists',
    { Filters: [{ Name: 'prefix-list-name', Values: ['walk'] }] },
    { want: { 'PrefixLists.0.Version': 3 } },
  ],
  [
    'CreateSecurityGroup',
    { GroupName: 'web', Description: 'of the walk', VpcId: '<vpc>' },
    { keep: { group: 'GroupId' } },
  ],
  [
    'CreateSecurityGroup',
    { GroupName: 'db', Description: 'of the walk', VpcId: '<otherVpc>' },
    { keep: { farGroup: 'GroupId' } },
  ],
  ['DescribeSecurityGroups', { GroupIds: ['<group>'] }, { wait: 'security_group_exists' }],
  [
    'AuthorizeSecurityGroupIngress',
    { GroupId: '<group>', IpPermissions: [WEB] },
    {
      want: { Return: true, 'SecurityGroupRules.0.Description': 'web' },
      keep: { rule: 'SecurityGroupRules.0.SecurityGroupRuleId' },
    },
  ],
  [
    'AuthorizeSecurityGroupIngress',
    {
      GroupId: '<group>',
      IpPermissions: [
        { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '192.0.2.7/32' }] },
      ],
    },
    {
      argv: [
        ...['--group-id', '<group>', '--protocol', 'tcp', '--port', '22'],
        ...['--cidr', '192.0.2.7/32'],
      ],
      want: { 'SecurityGroupRules.0.FromPort': 22 },
    },
  ],
  [
    'AuthorizeSecurityGroupIngress',
    {
      GroupId: '<group>',
      IpPermissions: [{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId: '<list>' }] }],
    },
  ],
  [
    'AuthorizeSecurityGroupIngress',
    {
      GroupId: '<farGroup>',
      IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: '<group>' }] }],
    },
    { want: { 'SecurityGroupRules.0.ReferencedGroupInfo.GroupId': '<group>' } },
  ],
  [
    'AuthorizeSecurityGroupEgress',
    { GroupId: '<group>', IpPermissions: [OUT] },
    {
      argv: [
        ...['--group-id', '<group>', '--ip-permissions'],
        'IpProtocol=udp,FromPort=53,ToPort=53,' +
          'Ipv6Ranges=[{CidrIpv6=2001:db8::/32,Description=names}]',
      ],
      want: { 'SecurityGroupRules.0.IsEgress': true },
    },
  ],
  [
    'ModifySecurityGroupRules',
    {
      GroupId: '<group>',
      SecurityGroupRules: [
        {
          SecurityGroupRuleId: '<rule>',
          SecurityGroupRule: {
            ...{ IpProtocol: 'tcp', FromPort: 80, ToPort: 81 },
            ...{ CidrIpv4: '192.0.2.0/24', Description: 'web' },
          },
        },
      ],
    },
    { want: { Return: true } },
  ],
  [
    'UpdateSecurityGroupRuleDescriptionsIngress',
    {
      GroupId: '<group>',
      SecurityGroupRuleDescriptions: [{ SecurityGroupRuleId: '<rule>', Description: 'the web' }],
    },
    { want: { Return: true } },
  ],
  [
    'UpdateSecurityGroupRuleDescriptionsEgress',
    {
      GroupId: '<group>',
      IpPermissions: [
        { ...OUT, Ipv6Ranges: [{ CidrIpv6: '2001:db8::/32', Description: 'name servers' }] },
      ],
    },
    { want: { Return: true } },
  ],
  [
    'DescribeSecurityGroupRules',
    { Filters: [{ Name: 'group-id', Values: ['<group>'] }] },
    {
      want: {
        'SecurityGroupRules.*.Description': 'the web',
        'SecurityGroupRules.*.ToPort': 81,
        'SecurityGroupRules.length': 6,
      },
    },
  ],
  [
    'DescribeSecurityGroups',
    { Filters: [{ Name: 'group-name', Values: ['web'] }] },
    {
      want: {
        'SecurityGroups.0.IpPermissionsEgress.*.Ipv6Ranges.*.Description': 'name servers',
        'SecurityGroups.0.IpPermissions.*.PrefixListIds.*.PrefixListId': '<list>',
      },
    },
  ],
  [
    'GetManagedPrefixListAssociations',
    { PrefixListId: '<list>' },
    { want: { 'PrefixListAssociations.*.ResourceId': '<group>' } },
  ],
  [
    'GetSecurityGroupsForVpc',
    { VpcId: '<vpc>' },
    { want: { 'SecurityGroupForVpcs.*.GroupId': '<group>' } },
  ],
  [
    'DescribeSecurityGroupReferences',
    { GroupId: ['<group>'] },
    { want: { 'SecurityGroupReferenceSet.0.ReferencingVpcId': '<otherVpc>' } },
  ],
  [
    'DescribeStaleSecurityGroups',
    { VpcId: '<otherVpc>' },
    { want: { 'StaleSecurityGroupSet.0': null } },
  ],
  [
    'DescribeSecurityGroupVpcAssociations',
    {},
    { want: { 'SecurityGroupVpcAssociations.0': null } },
  ],
  ['CreateNetworkAcl', { VpcId: '<vpc>' }, { keep: { acl: 'NetworkAcl.NetworkAclId' } }],
  [
    'CreateNetworkAclEntry',
    { NetworkAclId: '<acl>', RuleAction: 'allow', CidrBlock: '192.0.2.0/24', ...ENTRY },
    {
      argv: [
        ...['--network-acl-id', '<acl>', '--rule-number', '90', '--protocol', '6', '--ingress'],
        ...['--port-range', 'From=22,To=22', '--cidr-block', '192.0.2.0/24'],
        ...['--rule-action', 'allow'],
      ],
    },
  ],
  [
    'ReplaceNetworkAclEntry',
    { NetworkAclId: '<acl>', RuleAction: 'deny', CidrBlock: '192.0.2.0/25', ...ENTRY },
  ],
  [
    'DescribeNetworkAcls',
    { Filters: [{ Name: 'association.subnet-id', Values: ['<farSubnet>'] }] },
    {
      want: { 'NetworkAcls.0.IsDefault': true },
      keep: { usualAcl: 'NetworkAcls.0.NetworkAclId' },
    },
  ],
  [
    'DescribeNetworkAcls',
    { NetworkAclIds: ['<usualAcl>'] },
    { keep: { aclTied: 'NetworkAcls.0.Associations.0.NetworkAclAssociationId' } },
  ],
  [
    'ReplaceNetworkAclAssociation',
    { AssociationId: '<aclTied>', NetworkAclId: '<acl>' },
    { keep: { aclTied: 'NewAssociationId' } },
  ],
  [
    'DescribeNetworkAcls',
    { Filters: [{ Name: 'network-acl-id', Values: ['<acl>'] }] },
    {
      want: {
        'NetworkAcls.0.Entries.*.CidrBlock': '192.0.2.0/25',
        'NetworkAcls.0.Associations.0.NetworkAclAssociationId': '<aclTied>',
      },
    },
  ],
  [
    'ReplaceNetworkAclAssociation',
    { AssociationId: '<aclTied>', NetworkAclId: '<usualAcl>' },
    { want: { NewAssociationId: '~^aclassoc-' } },
  ],
  ['DeleteNetworkAclEntry', { NetworkAclId: '<acl>', RuleNumber: 90, Egress: false }],
  ['DeleteNetworkAcl', { NetworkAclId: '<acl>' }],
]

export const FIREWALL_END_ROWS: readonly Row[] = [
  [
    'RevokeSecurityGroupIngress',
    { GroupId: '<group>', SecurityGroupRuleIds: ['<rule>'] },
    { want: { Return: true } },
  ],
  [
    'RevokeSecurityGroupIngress',
    {
      GroupId: '<group>',
      IpPermissions: [
        { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '192.0.2.7/32' }] },
      ],
    },
    {
      argv: [
        ...['--group-id', '<group>', '--protocol', 'tcp', '--port', '22'],
        ...['--cidr', '192.0.2.7/32'],
      ],
      want: { Return: true },
    },
  ],
  [
    'RevokeSecurityGroupEgress',
    { GroupId: '<group>', IpPermissions: [OUT] },
    { want: { Return: true } },
  ],
  ['DeleteSecurityGroup', { GroupId: '<farGroup>' }],
  ['DeleteSecurityGroup', { GroupId: '<group>' }],
  ['DeleteManagedPrefixList', { PrefixListId: '<list>' }],
]
