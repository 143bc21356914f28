// What this cloud states of its VPC peerings to the peer cloud: how each stands, and of those that
// are active the members of its security groups and the private names, by addresses as the other
// sees them.

import { create } from '@bufbuild/protobuf'
import {
  type Connection,
  ConnectionSchema,
  ConnectionState,
  GroupMemberSchema,
  OfferedPrefixSchema,
  PrivateNameSchema,
  SharedGroupSchema,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import { hasPort } from '../control/desired-routes.ts'
import { addressesOf } from '../control/desired-tunnels.ts'
import type { InterfaceRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { ownSide } from './agreed.ts'
import { remotesOf } from './asked.ts'
import { Kept } from './kept.ts'
import type { RemoteRecord } from './negotiation.ts'
import { translated } from './seen-as.ts'

/** Of all peerings with one peer. More is not stated, in the order of ids. */
const MAX_GROUPS = 2_500
const MAX_MEMBERS = 5_000
const MAX_NAMES = 5_000

const STATES = {
  'initiating-request': ConnectionState.REQUESTED,
  active: ConnectionState.ACTIVE,
  rejected: ConnectionState.REJECTED,
  failed: ConnectionState.FAILED,
  expired: ConnectionState.EXPIRED,
  deleted: ConnectionState.DELETED,
} as const

export function connectionStatements(view: View, uid: string): Statement[] {
  const all = remotesOf(view, uid)
  const active = all.filter((one) => one.state === 'active')
  return [
    ...all.map((one) =>
      connections.get(one, [], () => statement(`connection/${one.id}`, 'connection', stated(one))),
    ),
    ...active.flatMap((one) => groups(view, one)).slice(0, MAX_GROUPS),
    ...active.flatMap((one) => members(view, one)).slice(0, MAX_MEMBERS),
    ...active.flatMap((one) => names(view, one)).slice(0, MAX_NAMES),
  ]
}

/** Statements that were made for a peering, and of it for each interface. */
type OfCards = WeakMap<InterfaceRecord, Statement[]>
const connections = new Kept<RemoteRecord, Statement>()
const groupsOf = new Kept<RemoteRecord, Statement[]>()
const membersOf = new Kept<RemoteRecord, Statement[]>()
const namesOf = new Kept<RemoteRecord, Statement[]>()
const memberOf = new Kept<RemoteRecord, OfCards>()
const nameOf = new Kept<RemoteRecord, OfCards>()

/** How it stands, in the words of the protocol. */
export function stated(record: RemoteRecord): Connection {
  const { id, remote, expiresAtMs, message } = record
  const isRequester = remote.side === 'requester'
  const own = remote.refused ?? ownSide(record)
  return create(ConnectionSchema, {
    id,
    requester: isRequester,
    state: stateOf(record),
    account: own.account,
    vpcId: own.vpc,
    otherAccount: remote.account,
    otherVpcId: remote.vpc,
    offers: remote.offers.map((candidates) =>
      create(OfferedPrefixSchema, { candidates: [...candidates] }),
    ),
    chosen: [...remote.theirs],
    terms: remote.terms,
    formerTerms: (remote.former ?? []).map(({ terms }) => terms),
    dns: isRequester ? record.requesterDnsResolution : record.accepterDnsResolution,
    expiresAtMs: BigInt(expiresAtMs),
    message: record.state === 'failed' ? message : '',
  })
}

function stateOf({ state, remote }: RemoteRecord): ConnectionState {
  const isRequester = remote.side === 'requester'
  if (state === 'pending-acceptance') {
    return isRequester ? ConnectionState.REQUESTED : ConnectionState.PENDING
  }
  if (state === 'provisioning') {
    return isRequester ? ConnectionState.REQUESTED : ConnectionState.ACCEPTED
  }
  return STATES[state]
}

function groups(view: View, record: RemoteRecord): Statement[] {
  const all = view.by('security-group', 'vpc', ownSide(record).vpc)
  return groupsOf.get(
    record,
    all.map(({ id }) => id),
    () =>
      all.map(({ id }) => {
        const fields = { connectionId: record.id, groupId: id }
        return statement(`group/${record.id}/${id}`, 'group', create(SharedGroupSchema, fields))
      }),
  )
}

function members(view: View, record: RemoteRecord): Statement[] {
  const cards = view.by('interface', 'vpc', ownSide(record).vpc)
  const made = memberOf.get(record, [], () => new WeakMap())
  return membersOf.get(record, [cards], () =>
    cards.filter(hasPort).flatMap((one) => once(made, one, () => membersFor(record, one))),
  )
}

function membersFor(record: RemoteRecord, one: InterfaceRecord): Statement[] {
  const addresses = seen(record, one)
  if (addresses.length === 0) return []
  return one.securityGroups.map((groupId) => {
    const fields = { connectionId: record.id, groupId, interfaceId: one.id, addresses }
    const key = `member/${record.id}/${groupId}/${one.id}`
    return statement(key, 'member', create(GroupMemberSchema, fields))
  })
}

function once(made: OfCards, card: InterfaceRecord, make: () => Statement[]): Statement[] {
  const all = made.get(card) ?? make()
  made.set(card, all)
  return all
}

/** Only where the peering's side here lets its names be resolved, and the VPC has names at all. */
function names(view: View, record: RemoteRecord): Statement[] {
  const isRequester = record.remote.side === 'requester'
  const dns = isRequester ? record.requesterDnsResolution : record.accepterDnsResolution
  const vpc = view.get('vpc', ownSide(record).vpc)
  if (!dns || vpc?.enableDnsSupport !== true) return []
  const cards = view.by('interface', 'vpc', vpc.id)
  const made = nameOf.get(record, [], () => new WeakMap())
  return namesOf.get(record, [cards], () => {
    const named = Map.groupBy(cards.filter(hasPort), (one) =>
      one.hostname === '' ? '' : `${one.rack}/${one.hostname}`,
    )
    return [...named].flatMap(([place, all]) => {
      const [only] = all
      const make = (): Statement[] => namesFor(record, place, all)
      return only !== undefined && all.length === 1 ? once(made, only, make) : make()
    })
  })
}

function namesFor(
  record: RemoteRecord,
  place: string,
  all: readonly InterfaceRecord[],
): Statement[] {
  const addresses = all.flatMap((one) => seen(record, { ...one, ipv4More: [], ipv6More: [] }))
  const [zone = '', hostName = ''] = place.split('/')
  if (hostName === '' || addresses.length === 0) return []
  const fields = { connectionId: record.id, hostName, addresses, zone }
  const key = `name/${record.id}/${place}`
  return [statement(key, 'name', create(PrivateNameSchema, fields))]
}

function seen({ remote }: RemoteRecord, one: InterfaceRecord): string[] {
  return addressesOf(one).flatMap((address) => translated(address, remote.own, remote.seenAs) ?? [])
}

function statement<C extends 'connection' | 'group' | 'member' | 'name'>(
  key: string,
  kind: C,
  value: Extract<Statement['body'], { case: C }>['value'],
): Statement {
  return create(StatementSchema, { key, body: { case: kind, value } as Statement['body'] })
}
