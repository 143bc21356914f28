// Bad requests about security groups and their rules, network ACLs, prefix lists.

import type { Ground } from './ground.ts'
import type { Ask, Row } from './row.ts'

const ANY = [{ CidrIp: '0.0.0.0/0' }]

/** One permission in for the group of `ground`. */
function rule(permission: object): (ground: Ground) => Ask {
  return ({ group }) => ({ GroupId: group, IpPermissions: [permission] })
}
function entry(wrong: object): (ground: Ground) => Ask {
  return ({ ownAcl }) => ({
    ...{ NetworkAclId: ownAcl, RuleNumber: 100, Protocol: '-1', RuleAction: 'allow' },
    ...{ Egress: false, CidrBlock: '0.0.0.0/0', ...wrong },
  })
}
const IN = 'AuthorizeSecurityGroupIngress'

export const FIREWALL: readonly Row[] = [
  [
    'no description',
    'CreateSecurityGroup',
    ({ vpc }) => ({ GroupName: 'new', VpcId: vpc }),
    'MissingParameter',
  ],
  ['no name', 'CreateSecurityGroup', { Description: 'x' }, 'MissingParameter'],
  [
    'a taken name',
    'CreateSecurityGroup',
    ({ vpc }) => ({ GroupName: 'web', Description: 'x', VpcId: vpc }),
    'InvalidGroup.Duplicate',
  ],
  [
    'the name default',
    'CreateSecurityGroup',
    ({ vpc }) => ({ GroupName: 'default', Description: 'x', VpcId: vpc }),
    'InvalidGroup.Reserved',
  ],
  [
    'a name of sg-',
    'CreateSecurityGroup',
    ({ vpc }) => ({ GroupName: 'sg-new', Description: 'x', VpcId: vpc }),
    'InvalidParameterValue',
  ],
  [
    'a name of 256 characters',
    'CreateSecurityGroup',
    ({ vpc }) => ({ GroupName: 'x'.repeat(256), Description: 'x', VpcId: vpc }),
    'InvalidParameterValue',
  ],
  [
    'an unknown VPC',
    'CreateSecurityGroup',
    { GroupName: 'new', Description: 'x', VpcId: 'vpc-01234567' },
    'InvalidVpcID.NotFound',
  ],
  [
    'a group in use',
    'DeleteSecurityGroup',
    ({ group }) => ({ GroupId: group }),
    'DependencyViolation',
  ],
  [
    'the default group',
    'DeleteSecurityGroup',
    ({ usualGroup }) => ({ GroupId: usualGroup }),
    'CannotDelete',
  ],
  ['nothing named', 'DeleteSecurityGroup', {}, 'MissingParameter'],
  ['no rule', IN, ({ group }) => ({ GroupId: group }), 'MissingParameter'],
  ['no group', IN, { IpPermissions: [{ IpProtocol: '-1', IpRanges: ANY }] }, 'MissingParameter'],
  ['no protocol', IN, rule({ IpRanges: ANY }), 'MissingParameter'],
  ['an unknown protocol', IN, rule({ IpProtocol: 'quic', IpRanges: ANY }), 'InvalidParameterValue'],
  ['protocol 256', IN, rule({ IpProtocol: '256', IpRanges: ANY }), 'InvalidParameterValue'],
  [
    'port 65536',
    IN,
    rule({ IpProtocol: 'tcp', FromPort: 1, ToPort: 65536, IpRanges: ANY }),
    'InvalidParameterValue',
  ],
  [
    'ports the wrong way round',
    IN,
    rule({ IpProtocol: 'tcp', FromPort: 90, ToPort: 80, IpRanges: ANY }),
    'InvalidParameterValue',
  ],
  ['no peer', IN, rule({ IpProtocol: 'tcp', FromPort: 1, ToPort: 2 }), 'MissingParameter'],
  [
    'no prefix',
    IN,
    rule({ IpProtocol: '-1', IpRanges: [{ CidrIp: 'everybody' }] }),
    'InvalidParameterValue',
  ],
  [
    'a /33',
    IN,
    rule({ IpProtocol: '-1', IpRanges: [{ CidrIp: '10.0.0.0/33' }] }),
    'InvalidParameterValue',
  ],
  [
    'IPv6 as IPv4',
    IN,
    rule({ IpProtocol: '-1', IpRanges: [{ CidrIp: '::/0' }] }),
    'InvalidParameterValue',
  ],
  [
    'a rule that is there',
    IN,
    rule({ IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: ANY }),
    'InvalidPermission.Duplicate',
  ],
  [
    'a rule twice',
    IN,
    rule({ IpProtocol: 'tcp', FromPort: 81, ToPort: 81, IpRanges: [...ANY, ...ANY] }),
    'InvalidParameterValue',
  ],
  [
    'an unknown group as a peer',
    IN,
    rule({ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: 'sg-01234567' }] }),
    'InvalidGroup.NotFound',
  ],
  [
    'an unknown prefix list',
    IN,
    rule({ IpProtocol: '-1', PrefixListIds: [{ PrefixListId: 'pl-01234567' }] }),
    'InvalidPrefixListID.NotFound',
  ],
  [
    'flat parameters and a list',
    IN,
    ({ group }) => ({
      ...{ GroupId: group, IpProtocol: 'tcp', FromPort: 1, ToPort: 1, CidrIp: '0.0.0.0/0' },
      IpPermissions: [{ IpProtocol: '-1', IpRanges: ANY }],
    }),
    'InvalidParameterCombination',
  ],
  [
    'a description of 256 characters',
    IN,
    rule({ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'x'.repeat(256) }] }),
    'InvalidParameterValue',
  ],
  [
    'no such rule',
    'RevokeSecurityGroupIngress',
    rule({ IpProtocol: 'tcp', FromPort: 9, ToPort: 9, IpRanges: ANY }),
    'InvalidPermission.NotFound',
  ],
  [
    'an unknown id of a rule',
    'RevokeSecurityGroupIngress',
    ({ group }) => ({ GroupId: group, SecurityGroupRuleIds: ['sgr-0123456789abcdef0'] }),
    'InvalidSecurityGroupRuleId.NotFound',
  ],
  ['number 0', 'CreateNetworkAclEntry', entry({ RuleNumber: 0 }), 'InvalidParameterValue'],
  ['number 32767', 'CreateNetworkAclEntry', entry({ RuleNumber: 32767 }), 'InvalidParameterValue'],
  [
    'an action of maybe',
    'CreateNetworkAclEntry',
    entry({ RuleAction: 'maybe' }),
    'InvalidParameterValue',
  ],
  ['tcp without ports', 'CreateNetworkAclEntry', entry({ Protocol: '6' }), 'MissingParameter'],
  ['no prefix', 'CreateNetworkAclEntry', entry({ CidrBlock: 'x' }), 'InvalidParameterValue'],
  [
    'a taken number',
    'CreateNetworkAclEntry',
    ({ acl }) => ({
      ...{ NetworkAclId: acl, RuleNumber: 100, Protocol: '-1', RuleAction: 'allow' },
      ...{ Egress: false, CidrBlock: '0.0.0.0/0' },
    }),
    'NetworkAclEntryAlreadyExists',
  ],
  [
    'an unknown number',
    'DeleteNetworkAclEntry',
    ({ ownAcl }) => ({ NetworkAclId: ownAcl, RuleNumber: 7, Egress: true }),
    'InvalidNetworkAclEntry.NotFound',
  ],
  [
    'an unknown association',
    'ReplaceNetworkAclAssociation',
    ({ ownAcl }) => ({ AssociationId: 'aclassoc-0123456789abcdef0', NetworkAclId: ownAcl }),
    'InvalidAssociationID.NotFound',
  ],
  [
    'the default ACL',
    'DeleteNetworkAcl',
    ({ acl }) => ({ NetworkAclId: acl }),
    'InvalidParameterValue',
  ],
  [
    'entries too many',
    'ModifyManagedPrefixList',
    ({ list }) => ({
      ...{ PrefixListId: list, CurrentVersion: 1 },
      AddEntries: [{ Cidr: '10.1.0.0/16' }, { Cidr: '10.2.0.0/16' }, { Cidr: '10.3.0.0/16' }],
    }),
    'PrefixListMaxEntriesExceeded',
  ],
  [
    'an old version',
    'ModifyManagedPrefixList',
    ({ list }) => ({
      ...{ PrefixListId: list, CurrentVersion: 9, AddEntries: [{ Cidr: '10.1.0.0/16' }] },
    }),
    'PrefixListVersionMismatch',
  ],
  [
    'IPv6 in a list of IPv4',
    'CreateManagedPrefixList',
    {
      ...{ PrefixListName: 'new', AddressFamily: 'IPv4', MaxEntries: 2 },
      Entries: [{ Cidr: '::/0' }],
    },
    'InvalidParameterValue',
  ],
  [
    'an unknown family',
    'CreateManagedPrefixList',
    { PrefixListName: 'new', AddressFamily: 'IPv5', MaxEntries: 2 },
    'InvalidParameterValue',
  ],
]
