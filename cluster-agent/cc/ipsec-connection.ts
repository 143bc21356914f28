// A VPN link as strongSwan's connection and secret (swanctl.conf(5), over VICI). A connection's
// name has a digest of all that it says but its prefixes, a child's one of those: what strongSwan
// holds is right when it has the right name.

import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'
import type { Machine } from '../../common/machine.ts'
import type { IpsecVpn, VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { CHARON_PATIENCE_S } from '../host/strongswan.ts'
import type { ViciMessage } from '../host/vici-wire.ts'
import type { Underlay } from './underlay.ts'

export interface IpsecConnection {
  readonly number: number
  /** Of the connection and of its secret. */
  readonly name: string
  readonly child: string
  /** What `load-shared` takes. */
  readonly secret: ViciMessage
  /** What `load-conn` takes. */
  readonly connection: ViciMessage
  readonly dials: boolean
  /** Also after it was up. */
  readonly dialsAgain: boolean
}

/** This side of a tunnel. */
export interface OwnEnd {
  /** Where the device reaches it; its identity too. */
  readonly address: string
  /** Of this host; `%any` for one that the underlay translates. */
  readonly local: string
}

export interface IpsecContext {
  readonly ipsec: Machine['ipsec']
  /** Of this host alone: names say nothing about keys without it. */
  readonly salt: string
}

const NAME = /^v(\d+)-[0-9a-f]{16}$/
/** Nobody is asked more often whether it is there. */
const MIN_DPD_S = 10

/** The number of the link that a name is of; null of any other name. */
export function numberOfName(name: string): number | null {
  const number = NAME.exec(name)?.[1]
  return number === undefined ? null : Number(number)
}

/**
 * The address of the device's family by which it reaches this host: as configured, `host:port`,
 * else the underlay's first. Null when there is none.
 */
export function ownEndOf(
  remoteAddress: string,
  endpoints: readonly string[],
  { addresses }: Pick<Underlay, 'addresses'>,
): OwnEnd | null {
  const family = isIP(remoteAddress)
  const [told] = endpoints
    .map((one) => one.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''))
    .filter((one) => isIP(one) === family)
  const [found] = addresses.filter((one) => isIP(one) === family)
  if (told !== undefined) return { address: told, local: told === found ? told : '%any' }
  return found === undefined ? null : { address: found, local: found }
}

export function connectionOf(
  link: VpnLink,
  ipsec: IpsecVpn,
  own: OwnEnd,
  context: IpsecContext,
): IpsecConnection {
  const [localId, remoteId] = [ipsec.localId || own.address, ipsec.remoteId || ipsec.remoteAddress]
  const said = {
    version: '2',
    local_addrs: [own.local],
    remote_addrs: [ipsec.remoteAddress],
    proposals: proposalsOf(ipsec.ikeProposals),
    // The device's host, and NATs between, see UDP: strongSwan's own IPsec sends nothing else.
    encap: context.ipsec === 'userspace' ? 'yes' : 'no',
    mobike: 'no',
    keyingtries: '0',
    dpd_delay: `${Math.max(MIN_DPD_S, ipsec.dpdTimeoutS - CHARON_PATIENCE_S)}s`,
    ...ikeTimes(ipsec.ikeLifetimeS),
    // Policies of one tunnel are none of another's, whatever their prefixes.
    if_id_in: String(link.number),
    if_id_out: String(link.number),
    local: { auth: 'psk', id: localId },
    remote: { auth: 'psk', id: remoteId },
  } satisfies ViciMessage
  const child = {
    ...prefixesOf(link),
    esp_proposals: proposalsOf(ipsec.espProposals),
    ...childTimes(ipsec.childLifetimeS),
    dpd_action: ipsec.restartOnSilence ? 'restart' : 'clear',
    start_action: 'none',
    close_action: 'none',
  } satisfies ViciMessage
  const key = Buffer.from(ipsec.presharedKey)
  const name = `v${link.number}-${digestOf(context, [said, key.toString('hex')], 16)}`
  const childName = `n-${digestOf(context, [child], 8)}`
  return {
    number: link.number,
    name,
    child: childName,
    secret: { id: name, type: 'IKE', data: key, owners: [localId, remoteId] },
    connection: { [name]: { ...said, children: { [childName]: child } } },
    dials: ipsec.initiate,
    dialsAgain: ipsec.restartOnSilence,
  }
}

/** Both ends' own addresses too, for pings. */
function prefixesOf(link: VpnLink): { local_ts: string[]; remote_ts: string[] } {
  const ordered = (cidrs: readonly string[], inside: string): string[] => {
    const host = inside === '' ? [] : [`${inside.replace(/\/.*$/, '')}/32`]
    return [...cidrs.map((cidr) => formatCidr(mustCidr(cidr))).sort(ascending), ...host]
  }
  return {
    local_ts: ordered(link.localPrefixes, link.insideAddress),
    remote_ts: ordered(link.remotePrefixes, link.farInsideAddress),
  }
}

function proposalsOf(proposals: readonly string[]): string[] {
  return proposals.length === 0 ? ['default'] : [...proposals]
}

// EC2's lifetimes are when keys end; new ones are made before, not by both ends at the same moment.
function ikeTimes(lifetimeS: number): ViciMessage {
  if (lifetimeS === 0) return {}
  const rekeyS = Math.floor(lifetimeS * 0.9)
  const times = { rekey_time: rekeyS, over_time: lifetimeS - rekeyS, rand_time: lifetimeS / 20 }
  return seconds(times)
}

function childTimes(lifetimeS: number): ViciMessage {
  if (lifetimeS === 0) return {}
  const rekeyS = Math.floor(lifetimeS * 0.9)
  return seconds({ rekey_time: rekeyS, life_time: lifetimeS, rand_time: lifetimeS / 20 })
}

function seconds(times: Readonly<Record<string, number>>): ViciMessage {
  return Object.fromEntries(Object.entries(times).map(([k, s]) => [k, `${Math.floor(s)}s`]))
}

function digestOf({ salt }: IpsecContext, said: unknown, length: number): string {
  return createHmac('sha256', salt).update(JSON.stringify(said)).digest('hex').slice(0, length)
}
