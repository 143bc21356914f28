// Who is at the other end of a rule: finds groups by name, and says whether a rule may name them.

import { ApiError } from '../aws/api-error.ts'
import { ownSide, statementAt } from '../peering/agreed.ts'
import { farGroup, readFarGroup } from '../peering/far-guests.ts'
import type { PeeringRecord, RulePeer, SecurityGroupRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { NOBODY } from './group-rules.ts'
import { checkIds, namedInStore, notFound } from './ids.ts'
import { keepFromRemoval } from './removal.ts'
import type { PeerWish } from './rule-request.ts'

/** As the rule says it; what it names need not be there any more. Names are of the group's VPC. */
export function peerNamed(view: View, group: SecurityGroupRecord, wish: PeerWish): RulePeer {
  switch (wish.kind) {
    case 'ipv4':
      return { ...NOBODY, ipv4: wish.cidr }
    case 'ipv6':
      return { ...NOBODY, ipv6: wish.cidr }
    case 'prefix-list':
      return { ...NOBODY, prefixList: checkIds('prefix-list', [wish.id])[0] ?? '' }
    case 'group': {
      if (wish.id !== '') {
        const id = checkIds('security-group', [wish.id])[0] ?? ''
        return { ...NOBODY, group: groupMeant(view, group, id) }
      }
      const named = groupByName(view, group.vpc, wish.name)
      return { ...NOBODY, group: named.id }
    }
  }
}

/** The same, for a new rule. Throws when what it names is not there for this group. */
export async function peerFor(
  tx: Transaction,
  view: View,
  group: SecurityGroupRecord,
  wish: PeerWish,
): Promise<RulePeer> {
  const peer = peerNamed(view, group, wish)
  if (wish.kind === 'prefix-list') {
    await namedInStore(tx, 'prefix-list', [wish.id], group.account)
    await keepFromRemoval(tx, 'prefix-list', [wish.id])
  }
  if (wish.kind !== 'group') return peer
  const far = farGroupOf(view, group.vpc, wish)
  if (far !== null) return { ...NOBODY, group: far }
  await checkGroup(tx, view, group, peer.group, wish.owner)
  return peer
}

/** A group of the VPC, whose groups all have the VPC's owner. */
export function groupByName(view: View, vpc: string, name: string): SecurityGroupRecord {
  const group = view.by('security-group', 'vpc', vpc).find((one) => one.name === name)
  if (group !== undefined) return group
  const text = `The security group '${name}' does not exist in VPC '${vpc}'`
  throw new ApiError('InvalidGroup.NotFound', text)
}

/** The peering of two VPCs, an active one first, null when there never was one. */
export function peeringBetween(view: View, a: string, b: string): PeeringRecord | null {
  const all = view.all('peering').filter(({ requester, accepter }) => {
    const ends = [requester.vpc, accepter.vpc]
    return ends.includes(a) && ends.includes(b)
  })
  return all.find((one) => one.state === 'active') ?? all[0] ?? null
}

/** One that is here, or else the one of a peer cloud that a rule of the group names already. */
function groupMeant(view: View, { rules }: SecurityGroupRecord, id: string): string {
  if (view.get('security-group', id) !== null) return id
  return rules.find((rule) => readFarGroup(rule.group)?.group === id)?.group ?? id
}

/** The group, when it is one of a VPC in a peer cloud that has an active peering with the VPC. */
function farGroupOf(
  view: View,
  vpc: string,
  { id, owner }: { readonly id: string; readonly owner: string },
): string | null {
  if (id === '' || view.get('security-group', id) !== null) return null
  for (const one of view.all('peering')) {
    const { remote, state, id: pcx } = one
    if (remote === undefined || state !== 'active' || ownSide(one).vpc !== vpc) continue
    if (owner !== '' && owner !== remote.account) continue
    if (statementAt(view, remote.uid, `group/${pcx}/${id}`) !== null) return farGroup(pcx, id)
  }
  return null
}

/** Of its own VPC, or of one with an active peering; somebody else's only with their account. */
async function checkGroup(
  tx: Transaction,
  view: View,
  group: SecurityGroupRecord,
  id: string,
  owner: string,
): Promise<void> {
  const other = await tx.get('security-group', id)
  const isTheirs = other !== null && other.account === (owner === '' ? group.account : owner)
  if (other === null || !isTheirs) throw notFound('security-group', [id])
  if (other.vpc === group.vpc) return await keepFromRemoval(tx, 'security-group', [id])
  const known = peeringBetween(view, group.vpc, other.vpc)
  const peering = known === null ? null : await tx.get('peering', known.id)
  if (peering?.state === 'active') return
  if (other.account !== group.account) throw notFound('security-group', [id])
  const text = `The security groups ${group.id} (${group.vpc}) and ${id} (${other.vpc}) belong to`
  throw new ApiError('InvalidGroup.NotFound', `${text} different networks without a peering.`)
}
