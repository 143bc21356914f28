// Network ACLs: made, shown, deleted, given to subnets, and their entries. An ACL's entries are one
// record; which ACL a subnet has is in the subnet's.

import type { NetworkAcl } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { NetworkAclEntry, NetworkAclRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { entriesShown, parseEntry, parsePlace } from './acl-entries.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInStore, namedInView, newId, notFound, randomId } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { checkQuotaOf } from './quotas.ts'
import { keepFromRemoval, removeUnused } from './removal.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'

type AclHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateNetworkAcl'
    | 'CreateNetworkAclEntry'
    | 'DeleteNetworkAcl'
    | 'DeleteNetworkAclEntry'
    | 'DescribeNetworkAcls'
    | 'ReplaceNetworkAclAssociation'
    | 'ReplaceNetworkAclEntry'
  >
>

/** Of each direction. EC2's quota is 20 and may be raised to this. */
const MAX_ENTRIES = 40
const PROTOCOLS: Readonly<Record<string, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp' }

const FILTERABLE: Filterable<NetworkAcl> = {
  fields: {
    'association.association-id': (acl) =>
      acl.Associations?.map((one) => one.NetworkAclAssociationId),
    'association.network-acl-id': (acl) => acl.Associations?.map((one) => one.NetworkAclId),
    'association.subnet-id': (acl) => acl.Associations?.map((one) => one.SubnetId),
    default: (acl) => acl.IsDefault,
    'entry.cidr': (acl) => acl.Entries?.map((one) => one.CidrBlock),
    'entry.egress': (acl) => acl.Entries?.map((one) => one.Egress),
    'entry.icmp.code': (acl) => acl.Entries?.map((one) => one.IcmpTypeCode?.Code),
    'entry.icmp.type': (acl) => acl.Entries?.map((one) => one.IcmpTypeCode?.Type),
    'entry.ipv6-cidr': (acl) => acl.Entries?.map((one) => one.Ipv6CidrBlock),
    'entry.port-range.from': (acl) => acl.Entries?.map((one) => one.PortRange?.From),
    'entry.port-range.to': (acl) => acl.Entries?.map((one) => one.PortRange?.To),
    'entry.protocol': (acl) =>
      acl.Entries?.flatMap(({ Protocol: n = '' }) => [n, PROTOCOLS[n] ?? n]),
    'entry.rule-action': (acl) => acl.Entries?.map((one) => one.RuleAction),
    'entry.rule-number': (acl) => acl.Entries?.map((one) => one.RuleNumber),
    'network-acl-id': (acl) => acl.NetworkAclId,
    'owner-id': (acl) => acl.OwnerId,
    'vpc-id': (acl) => acl.VpcId,
  },
  tags: (acl) => acl.Tags,
}

export function networkAclHandlers({ state, randomHex }: NetworkParts): AclHandlers {
  return {
    CreateNetworkAcl: async (context, input) => {
      const { account } = context.caller
      const vpcId = required('VpcId', input.VpcId)
      const tags = parseTagSpecifications(input.TagSpecifications, ['network-acl'])
      const use = {
        context,
        action: 'CreateNetworkAcl',
        token: parseClientToken(input.ClientToken),
      }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const [vpc] = await namedInStore(tx, 'vpc', [vpcId], account)
        if (vpc === undefined) throw notFound('vpc', [vpcId])
        const count = (await state.fresh()).by('network-acl', 'vpc', vpcId).length
        await checkQuotaOf(tx, vpc, 'network-acls-per-vpc', count)
        endDryRun(input)
        const made = await newId(tx, randomHex, 'network-acl')
        const record = { id: made, account, vpc: vpcId, isDefault: false, entries: [] }
        await tx.put('network-acl', [made], record)
        await holdVpc(tx, vpc)
        const owner = { kind: 'network-acl', id: made, account } as const
        await addTags(tx, owner, tags.get('network-acl') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      const view = await state.fresh()
      const [acl] = namedInView(view, 'network-acl', [id], account)
      return { NetworkAcl: acl && aclOf(view, acl), ClientToken: input.ClientToken }
    },

    DeleteNetworkAcl: async ({ caller }, input) => {
      const id = required('NetworkAclId', input.NetworkAclId)
      const [acl] = namedInView(await state.fresh(), 'network-acl', [id], caller.account)
      if (acl?.isDefault === true) {
        throw badValue('networkAclId', id, 'The default network ACL of a VPC stays with it.')
      }
      await removeUnused({ state, randomHex }, input, {
        kind: 'network-acl',
        id,
        check: (view) => checkUnused(view, id),
        remove: async (tx) => {
          await namedInStore(tx, 'network-acl', [id], caller.account)
          await tx.delete('tags', id)
          await tx.delete('network-acl', id)
        },
      })
      return {}
    },

    DescribeNetworkAcls: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const acls = ownedOrNamed(view, 'network-acl', input.NetworkAclIds, account)
      endDryRun(input)
      const shown = acls.map((acl) => aclOf(view, acl))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (acl: NetworkAcl): string => acl.NetworkAclId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeNetworkAcls', input, found, cursor)
      return { NetworkAcls: [...items], NextToken: nextToken }
    },

    CreateNetworkAclEntry: async ({ caller }, input) => {
      const id = required('NetworkAclId', input.NetworkAclId)
      const entry = parseEntry(input)
      await changeEntries(state, id, caller.account, input, (entries) => {
        if (entries.some((one) => isAt(one, entry))) {
          const text = `The network acl entry identified by ${entry.number} already exists.`
          throw new ApiError('NetworkAclEntryAlreadyExists', text)
        }
        const count = entries.filter((one) => one.egress === entry.egress).length
        if (count >= MAX_ENTRIES) {
          const which = entry.egress ? 'egress' : 'ingress'
          const text = `The network ACL '${id}' has ${count} ${which} entries; at most`
          throw new ApiError('NetworkAclEntryLimitExceeded', `${text} ${MAX_ENTRIES} are allowed.`)
        }
        return [...entries, entry]
      })
      return {}
    },

    ReplaceNetworkAclEntry: async ({ caller }, input) => {
      const id = required('NetworkAclId', input.NetworkAclId)
      const entry = parseEntry(input)
      await changeEntries(state, id, caller.account, input, (entries) => {
        checkThere(entries, entry)
        return entries.map((one) => (isAt(one, entry) ? entry : one))
      })
      return {}
    },

    DeleteNetworkAclEntry: async ({ caller }, input) => {
      const id = required('NetworkAclId', input.NetworkAclId)
      const place = parsePlace(input)
      await changeEntries(state, id, caller.account, input, (entries) => {
        checkThere(entries, place)
        return entries.filter((one) => !isAt(one, place))
      })
      return {}
    },

    ReplaceNetworkAclAssociation: async ({ caller }, input) => {
      const association = required('AssociationId', input.AssociationId)
      const aclId = required('NetworkAclId', input.NetworkAclId)
      const holder = (await state.fresh())
        .by('subnet', 'account', caller.account)
        .find((subnet) => subnet.aclAssociation === association)
      const made = await state.update(async (tx) => {
        const subnet = holder === undefined ? null : await tx.get('subnet', holder.id)
        if (subnet?.aclAssociation !== association) {
          const text = `The association ID '${association}' does not exist`
          throw new ApiError('InvalidAssociationID.NotFound', text)
        }
        const [acl] = await namedInStore(tx, 'network-acl', [aclId], caller.account)
        if (acl?.vpc !== subnet.vpc) {
          const text = `The network ACL ${aclId} and the subnet ${subnet.id} belong to different`
          throw new ApiError('InvalidParameterValue', `${text} networks.`)
        }
        endDryRun(input)
        await keepFromRemoval(tx, 'network-acl', [aclId])
        const aclAssociation = randomId(randomHex, 'aclassoc')
        await tx.put('subnet', [subnet.id], { ...subnet, acl: aclId, aclAssociation })
        return aclAssociation
      })
      return { NewAssociationId: made }
    },
  }
}

type Place = Pick<NetworkAclEntry, 'number' | 'egress'>

async function changeEntries(
  state: State,
  id: string,
  account: string,
  input: { readonly DryRun?: boolean | undefined },
  change: (entries: readonly NetworkAclEntry[]) => readonly NetworkAclEntry[],
): Promise<void> {
  await state.update(async (tx) => {
    const [acl] = await namedInStore(tx, 'network-acl', [id], account)
    if (acl === undefined) throw notFound('network-acl', [id])
    const entries = change(acl.entries)
    endDryRun(input)
    await tx.put('network-acl', [id], { ...acl, entries })
  })
}

function checkUnused(view: View, id: string): void {
  const [subnet] = view.by('subnet', 'acl', id)
  if (subnet === undefined) return
  const text = `The networkAcl '${id}' has dependencies and cannot be deleted: ${subnet.id} has it.`
  throw new ApiError('DependencyViolation', text)
}

function isAt(a: Place, b: Place): boolean {
  return a.number === b.number && a.egress === b.egress
}

function checkThere(entries: readonly Place[], { number, egress }: Place): void {
  if (entries.some((one) => isAt(one, { number, egress }))) return
  const which = egress ? 'egress' : 'ingress'
  const text = `The specified ${which} entry (rule number ${number}) does not exist`
  throw new ApiError('InvalidNetworkAclEntry.NotFound', text)
}

function aclOf(view: View, acl: NetworkAclRecord): NetworkAcl {
  const hasIpv6 = (view.get('vpc', acl.vpc)?.ipv6Cidrs.length ?? 0) > 0
  return {
    NetworkAclId: acl.id,
    OwnerId: acl.account,
    VpcId: acl.vpc,
    IsDefault: acl.isDefault,
    Entries: entriesShown(acl.entries, hasIpv6),
    Associations: view.by('subnet', 'acl', acl.id).map((subnet) => ({
      NetworkAclAssociationId: subnet.aclAssociation,
      NetworkAclId: acl.id,
      SubnetId: subnet.id,
    })),
    Tags: tagList(view, acl.id),
  }
}
