// Whether a statement can be meant at all: keys that are their bodies' own, names, numbers and
// prefixes within limits. What is in it is for others to judge.

import { MalleeError } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import {
  type Border,
  type Connection,
  ConnectionState,
  type GroupMember,
  type PrivateName,
  type SharedGroup,
  type Statement,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import { parseAddress, parseCidr, single } from '../../topology/cidr.ts'
import { checkedCard, isEndpoint } from './cloud-card.ts'
import { checkConnection } from './connection-form.ts'
import { isPrivate, limitsRecord } from './limits.ts'

/** Statements of one kind that one side may have at a time. */
export const MOST_OF_KIND: Readonly<Record<string, number>> = {
  ...{ cloud: 1, border: 256, connection: 1_000 },
  ...{ group: 2_500, member: 5_000, name: 5_000 },
}

const MAX_ENDPOINTS = 16
const MAX_HEARD = 64
const MAX_ADDRESSES = 64
const MAX_MESSAGE_CHARS = 255
const KEY = /^[a-z]{1,16}(?:\/[A-Za-z0-9.-]{1,80}){0,3}$/
const PEERING = /^pcx-[0-9a-f]{17}$/
const LINK_ADDRESS = /^fe80::[0-9a-f:]{1,19}$/

/** Throws BadMessage, or ProtocolMismatch for the card of another age. */
export function checkStatement({ key, body }: Statement): void {
  if (!KEY.test(key)) throw bad(key, 'its key is malformed')
  switch (body.case) {
    case 'cloud':
      if (key !== 'cloud') throw bad(key, 'it is not about the cloud')
      checkedCard(body.value.card)
      limitsRecord(body.value.limits)
      return
    case 'border':
      checkBorder(key, body.value)
      return
    case 'connection':
      checkPeering(key, body.value)
      return
    case 'group':
      checkGroup(key, body.value)
      return
    case 'member':
      checkMember(key, body.value)
      return
    case 'name':
      checkPrivateName(key, body.value)
      return
    default:
      if (key === 'cloud') throw bad(key, 'it cannot be withdrawn')
  }
}

function checkBorder(key: string, border: Border): void {
  const { rack, host, publicKey, endpoints, linkAddress, heard } = border
  if (!isName(rack) || !isName(host) || key !== `border/${rack}/${host}`) throw otherKey(key)
  // 32 bytes in base64, as wg(8) writes them.
  if (!/^[A-Za-z0-9+/]{43}=$/.test(publicKey)) throw bad(key, 'its public key is none')
  if (endpoints.length > MAX_ENDPOINTS || !endpoints.every(isEndpoint)) {
    throw bad(key, 'its endpoints are malformed')
  }
  if (!LINK_ADDRESS.test(linkAddress) || !parseAddress(linkAddress).ok) {
    throw bad(key, 'its link address is not in fe80::/64')
  }
  if (heard.length > MAX_HEARD || !heard.every((one) => one.split('/').every(isName))) {
    throw bad(key, 'what it hears is malformed')
  }
}

function checkPeering(key: string, connection: Connection): void {
  const { id, state, chosen, message } = connection
  if (key !== `connection/${id}`) throw otherKey(key)
  const form = checkConnection(connection)
  if (!form.ok) throw bad(key, form.why)
  if (!Object.values(ConnectionState).includes(state) || state === 0) {
    throw bad(key, `its state ${state} is none`)
  }
  for (const prefix of chosen) mustBePrivate(key, prefix)
  if (message.length > MAX_MESSAGE_CHARS || /\p{C}/u.test(message)) {
    throw bad(key, 'its message is malformed')
  }
}

function checkGroup(key: string, { connectionId: id, groupId }: SharedGroup): void {
  const isWhole = PEERING.test(id) && isId('sg', groupId)
  if (!isWhole || key !== `group/${id}/${groupId}`) throw otherKey(key)
}

function checkMember(key: string, member: GroupMember): void {
  const { connectionId: id, groupId, interfaceId, addresses } = member
  const isWhole = PEERING.test(id) && isId('sg', groupId) && isId('eni', interfaceId)
  if (!isWhole || key !== `member/${id}/${groupId}/${interfaceId}`) throw otherKey(key)
  checkAddresses(key, addresses)
}

function checkPrivateName(key: string, name: PrivateName): void {
  const { connectionId: id, hostName, addresses, zone } = name
  if (!PEERING.test(id) || key !== `name/${id}/${zone}/${hostName}`) throw otherKey(key)
  if (!isName(hostName) || !isName(zone)) throw bad(key, 'its name is none')
  checkAddresses(key, addresses)
}

function checkAddresses(key: string, addresses: readonly string[]): void {
  if (addresses.length > MAX_ADDRESSES) throw bad(key, `it has ${addresses.length} addresses`)
  for (const text of addresses) {
    const address = parseAddress(text)
    if (address.ok && isPrivate(single(address.value))) continue
    throw bad(key, `${JSON.stringify(text.slice(0, 64))} is no private address`)
  }
}

/** Throws for what no tenant's network has: public prefixes, default routes. */
function mustBePrivate(key: string, prefix: string): void {
  const cidr = parseCidr(prefix)
  if (cidr.ok && isPrivate(cidr.value)) return
  throw bad(key, `${JSON.stringify(prefix.slice(0, 64))} is no private prefix`)
}

function isId(kind: 'vpc' | 'sg' | 'eni', id: string): boolean {
  return (
    id.startsWith(`${kind}-`) && /^(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id.slice(kind.length + 1))
  )
}

function otherKey(key: string): MalleeError {
  return bad(key, 'its key is not its own')
}

function bad(key: string, why: string): MalleeError {
  return new MalleeError('BadMessage', `statement ${JSON.stringify(key.slice(0, 160))}: ${why}`)
}
