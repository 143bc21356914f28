// For people: what connects the two clouds of `npm start -- --other-cloud`, as commands to copy.

import type { Aws } from './aws.ts'

/** A cloud's user, with its default VPC and an instance in it. */
export interface UserSide {
  readonly account: string
  readonly region: string
  readonly vpc: string
  readonly ipv6Cidr: string
  readonly table: string
  readonly group: string
  readonly instance: { readonly id: string; readonly ipv6: string }
  /** Whose hosts have the gateway, and the instance. */
  readonly gatewayHost: string
  readonly instanceHost: string
  /** What a shell needs before. */
  readonly shell: readonly string[]
}

interface Named {
  readonly Vpcs?: readonly {
    readonly VpcId: string
    readonly Ipv6CidrBlockAssociationSet?: readonly { readonly Ipv6CidrBlock: string }[]
  }[]
  readonly RouteTables?: readonly { readonly RouteTableId: string }[]
  readonly SecurityGroups?: readonly { readonly GroupId: string }[]
}

/** Of the account's default VPC. */
export async function defaultNetworkOf(
  aws: Aws,
): Promise<Pick<UserSide, 'vpc' | 'ipv6Cidr' | 'table' | 'group'>> {
  const ask = async (...words: readonly string[]): Promise<Named> =>
    (await aws(['ec2', ...words])) as Named
  const isDefault = ['--filters', 'Name=is-default,Values=true']
  const vpc = (await ask('describe-vpcs', ...isDefault)).Vpcs?.[0]
  const of = `Name=vpc-id,Values=${vpc?.VpcId}`
  const main = ['--filters', of, 'Name=association.main,Values=true']
  const groups = ['--filters', of, 'Name=group-name,Values=default']
  return {
    vpc: vpc?.VpcId ?? '',
    ipv6Cidr: vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? '',
    table: (await ask('describe-route-tables', ...main)).RouteTables?.[0]?.RouteTableId ?? '',
    group: (await ask('describe-security-groups', ...groups)).SecurityGroups?.[0]?.GroupId ?? '',
  }
}

/** `name` is what the one that invites calls the other. */
export function peeringLines(name: string, first: UserSide, other: UserSide): string[] {
  const enter = 'npm run -s enter --'
  return [
    '',
    `Another owner's cloud, ${name}, runs on the same internet. To connect the two:`,
    '',
    'The operators, as root, in this folder:',
    `  ${enter} ${first.gatewayHost} mallee peer invite ${name}`,
    `  ${enter} ${other.gatewayHost} mallee peer accept 'INVITATION'`,
    '',
    'A user here, in a shell with the lines above:',
    `  PCX=$(aws ec2 create-vpc-peering-connection --vpc-id ${first.vpc} \\`,
    `    --peer-region ${other.region} --peer-owner-id ${other.account} \\`,
    `    --peer-vpc-id ${other.vpc} --output text \\`,
    '    --query VpcPeeringConnection.VpcPeeringConnectionId); echo PCX=$PCX',
    '',
    `A user of ${name}, in a shell of its own, with that PCX:`,
    ...other.shell.map((line) => `  ${line}`),
    '  aws ec2 accept-vpc-peering-connection --vpc-peering-connection-id $PCX',
    '',
    'Both, once aws ec2 describe-vpc-peering-connections says active; here:',
    ...openLines(first, other, 'AccepterVpcInfo'),
    `of ${name}:`,
    ...openLines(other, first, 'RequesterVpcInfo'),
    '',
    'At the console of a guest here (Debian has socat), which then reaches one there:',
    `  ${enter} ${first.instanceHost} socat -,raw,echo=0 \\`,
    `    UNIX:/var/lib/mallee/instances/${first.instance.id}/console.sock`,
    `  ping6 -c 3 ${other.instance.ipv6}`,
    '',
    'Either side ends it at once:',
    '  aws ec2 delete-vpc-peering-connection --vpc-peering-connection-id $PCX',
    `  ${enter} ${first.gatewayHost} mallee peer suspend ${name}`,
    '',
  ]
}

/** A route to the other's VPC, by the prefixes it is seen as here, and a rule that lets it in. */
function openLines(own: UserSide, other: UserSide, info: string): string[] {
  const route = `aws ec2 create-route --route-table-id ${own.table}`
  const six = `Ipv6Ranges=[{CidrIpv6=${other.ipv6Cidr}}]`
  return [
    '  CIDR=$(aws ec2 describe-vpc-peering-connections --output text \\',
    '    --vpc-peering-connection-ids $PCX \\',
    `    --query 'VpcPeeringConnections[0].${info}.CidrBlock')`,
    `  ${route} --destination-cidr-block $CIDR \\`,
    '    --vpc-peering-connection-id $PCX',
    `  ${route} --destination-ipv6-cidr-block ${other.ipv6Cidr} \\`,
    '    --vpc-peering-connection-id $PCX',
    `  aws ec2 authorize-security-group-ingress --group-id ${own.group} \\`,
    `    --ip-permissions "IpProtocol=-1,IpRanges=[{CidrIp=$CIDR}],${six}"`,
  ]
}
