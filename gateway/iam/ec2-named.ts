// Resources that EC2's requests name in other ways than by their own ids: by the id of an
// association, by a name, by an address.

import { subnetAssociationId } from '../ec2/describe-subnets.ts'
import { resourceTypeOf } from '../ec2/ids.ts'
import { NOUNS, type TaggedKind } from '../ec2/nouns.ts'
import { vpcAssociationId } from '../ec2/vpcs.ts'
import type { View } from '../store/state.ts'
import { textsAt } from './ec2-members.ts'

/** Type of resource → ids. */
export type Named = Readonly<Record<string, readonly string[]>>

/** Who asks where. */
export interface Place {
  readonly view: View
  readonly region: string
  readonly account: string
}

type Look = (place: Place, input: object) => Named

const LOOKS: Readonly<Record<string, Look>> = {
  AcceptVpcPeeringConnection: accepterVpc,
  AssociateAddress: address,
  AssociateRouteTable: gateway,
  AuthorizeSecurityGroupEgress: groupByName,
  AuthorizeSecurityGroupIngress: groupByName,
  CreateLaunchTemplateVersion: templateByName,
  CreateNetworkInsightsPath: bothEnds,
  CreatePlacementGroup: placementGroup,
  CreateSnapshots: volumesOfInstance,
  DeleteKeyPair: keyPairById,
  DeleteLaunchTemplate: templateByName,
  DeleteLaunchTemplateVersions: templateByName,
  DeletePlacementGroup: placementGroup,
  DeleteSecurityGroup: groupByName,
  DetachNetworkInterface: attachment,
  DisassociateAddress: address,
  DisassociateIamInstanceProfile: profileAssociation,
  DisassociateRouteTable: routeTableAssociation,
  DisassociateSubnetCidrBlock: subnetBlock,
  DisassociateVpcCidrBlock: vpcBlock,
  ModifyInstancePlacement: placementGroup,
  ModifyLaunchTemplate: templateByName,
  ModifyNetworkInterfaceAttribute: attachment,
  ReleaseAddress: address,
  ReplaceIamInstanceProfileAssociation: profileAssociation,
  ReplaceNetworkAclAssociation: aclAssociation,
  ReplaceRouteTableAssociation: routeTableAssociation,
  RevokeSecurityGroupEgress: groupByName,
  RevokeSecurityGroupIngress: groupByName,
  UpdateSecurityGroupRuleDescriptionsEgress: groupByName,
  UpdateSecurityGroupRuleDescriptionsIngress: groupByName,
}

/** What the request names so, of what the account has. */
export function namedIn(place: Place, action: string, input: object): Named {
  return Object.hasOwn(LOOKS, action) ? (LOOKS[action]?.(place, input) ?? {}) : {}
}

/** Ids of any type, by their prefixes; an id of none is left out. */
export function byPrefix(place: Place, ids: readonly string[]): Named {
  const named: Record<string, string[]> = {}
  for (const id of ids) {
    const type = typeOfId(id)
    if (type === null) continue
    const isNamed = type === 'key-pair' || type === 'placement-group'
    named[type] ??= []
    named[type].push(isNamed ? nameOfId(place, type, id) || id : id)
  }
  return named
}

const PREFIXES = new Map(
  (Object.keys(NOUNS) as TaggedKind[]).flatMap((kind) => {
    const { prefix, otherPrefixes = [] } = NOUNS[kind]
    return [prefix, ...otherPrefixes].map((one) => [one, resourceTypeOf(kind, `${one}-`)] as const)
  }),
)

function typeOfId(id: string): string | null {
  return PREFIXES.get(id.slice(0, Math.max(0, id.lastIndexOf('-')))) ?? null
}

/** In ARNs these are called by their names; '' when the account has none of that id. */
export function nameOfId(
  { view, account }: Place,
  type: 'key-pair' | 'placement-group',
  id: string,
): string {
  const found = id === '' ? null : view.get(type, id)
  return found?.account === account ? found.name : ''
}

/** The ids of security groups of the default VPC, by their names. */
export function groupsNamed({ view, account }: Place, names: readonly string[]): string[] {
  if (names.length === 0) return []
  const vpc = view.by('vpc', 'account', account).find((one) => one.isDefault)
  const groups = vpc === undefined ? [] : view.by('security-group', 'vpc', vpc.id)
  return names.flatMap((name) => groups.find((group) => group.name === name)?.id ?? [])
}

function groupByName(place: Place, input: object): Named {
  return { 'security-group': groupsNamed(place, textsAt(input, 'GroupName')) }
}

function placementGroup(place: Place, input: object): Named {
  const byId = [...textsAt(input, 'GroupId'), ...textsAt(input, 'Placement.GroupId')]
  const names = byId.map((id) => nameOfId(place, 'placement-group', id))
  const all = [...textsAt(input, 'GroupName'), ...names]
  return { 'placement-group': all.filter((name) => name !== '') }
}

function templateByName({ view, account }: Place, input: object): Named {
  const [name = ''] = textsAt(input, 'LaunchTemplateName')
  const templates = view.by('launch-template', 'account', account)
  const found = templates.find((template) => template.name === name)
  return found === undefined ? {} : { 'launch-template': [found.id] }
}

function keyPairById(place: Place, input: object): Named {
  const names = textsAt(input, 'KeyPairId').map((id) => nameOfId(place, 'key-pair', id))
  return { 'key-pair': names.filter((name) => name !== '') }
}

function accepterVpc({ view, account }: Place, input: object): Named {
  const vpcs = textsAt(input, 'VpcPeeringConnectionId').flatMap((id) => {
    const accepter = view.get('peering', id)?.accepter
    return accepter?.account === account ? accepter.vpc : []
  })
  return { vpc: vpcs }
}

function gateway(place: Place, input: object): Named {
  return byPrefix(place, textsAt(input, 'GatewayId'))
}

function bothEnds(place: Place, input: object): Named {
  return byPrefix(place, [...textsAt(input, 'Source'), ...textsAt(input, 'Destination')])
}

/** By its public address, and what it is associated with. */
function address({ view, account }: Place, input: object): Named {
  const byAddress = textsAt(input, 'PublicIp').flatMap((ip) => view.by('address', 'publicIp', ip))
  const associations = textsAt(input, 'AssociationId')
  const byAssociation =
    associations.length === 0
      ? []
      : view
          .by('address', 'account', account)
          .filter(({ association }) => associations.includes(association))
  const found = [...byAddress, ...byAssociation].filter((one) => one.account === account)
  const interfaces = byAssociation.map((one) => one.interface).filter((id) => id !== '')
  return { 'elastic-ip': found.map(({ id }) => id), 'network-interface': interfaces }
}

function attachment({ view, account }: Place, input: object): Named {
  const ids = [...textsAt(input, 'AttachmentId'), ...textsAt(input, 'Attachment.AttachmentId')]
  const found = ids.flatMap((id) =>
    view.interfacesOf('account', account).filter((one) => one.attachment === id),
  )
  return {
    'network-interface': found.map(({ id }) => id),
    instance: found.map(({ instance }) => instance).filter((id) => id !== ''),
  }
}

function routeTableAssociation({ view, account }: Place, input: object): Named {
  const [id] = textsAt(input, 'AssociationId')
  if (id === undefined) return {}
  const subnet = view.subnetsOf('account', account).find((one) => one.routeTableAssociation === id)
  const vpc = view.by('vpc', 'account', account).find((one) => one.mainAssociation === id)
  const table = subnet?.routeTable ?? vpc?.mainRouteTable
  return {
    'route-table': table === undefined || table === '' ? [] : [table],
    subnet: subnet === undefined ? [] : [subnet.id],
  }
}

function aclAssociation({ view, account }: Place, input: object): Named {
  const [id] = textsAt(input, 'AssociationId')
  const subnet = view.subnetsOf('account', account).find((one) => one.aclAssociation === id)
  return id === undefined || subnet === undefined ? {} : { subnet: [subnet.id] }
}

function subnetBlock({ view, account }: Place, input: object): Named {
  const [id] = textsAt(input, 'AssociationId')
  const found = view
    .subnetsOf('account', account)
    .filter((one) => one.ipv6Cidr !== '' && subnetAssociationId(one) === id)
  return { subnet: found.map((one) => one.id) }
}

function vpcBlock({ view, account }: Place, input: object): Named {
  const [id] = textsAt(input, 'AssociationId')
  const found = view
    .by('vpc', 'account', account)
    .filter((vpc) =>
      [...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs].some((one) => vpcAssociationId(vpc.id, one) === id),
    )
  return { vpc: found.map((one) => one.id) }
}

/** Those that the instance has and the request does not leave out. */
function volumesOfInstance({ view, account }: Place, input: object): Named {
  const left = textsAt(input, 'InstanceSpecification.ExcludeDataVolumeIds')
  const found = textsAt(input, 'InstanceSpecification.InstanceId').flatMap((id) =>
    view.by('volume', 'instances', id).filter((one) => one.account === account),
  )
  return { volume: found.map(({ id }) => id).filter((id) => !left.includes(id)) }
}

function profileAssociation({ view, account }: Place, input: object): Named {
  const found = textsAt(input, 'AssociationId').flatMap((id) =>
    view.by('profile-association', 'id', id).filter((one) => one.account === account),
  )
  return { instance: found.map((one) => one.instance) }
}
