// The tunnels of VPN connections as records: numbers, keys and inner addresses, taken when a
// connection is made and given back when it is deleted.

import type { RandomHex } from '../../common/clock.ts'
import { formatCidr, mustCidr, nthBlock } from '../../topology/cidr.ts'
import { VPN_NUMBERS } from '../../topology/ranges.ts'
import { insideCidr } from '../../topology/vpn.ts'
import { ApiError } from '../aws/api-error.ts'
import { VPN_NUMBER_POOL } from '../pools.ts'
import type { Sealer } from '../secrets.ts'
import type { Transaction } from '../store/state.ts'
import type { VpnTunnelRecord } from '../store/vpn-records.ts'
import { sealVpnKey } from '../vpn/keys.ts'
import { badValue } from './input.ts'
import type { TunnelWish } from './vpn-tunnel-options.ts'

/** As many as EC2's own have. */
const KEY_CHARACTERS = 32
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._'
/** Where blocks come from when others were given the ones of a tunnel's number. */
const SPARE = mustCidr('169.254.144.0/20')
const SPARE_BLOCKS = 1_024
const INSIDE_LENGTH = 30

/** A tunnel that no CC holds yet. Throws VpnConnectionLimitExceeded when all numbers are taken. */
export async function newTunnel(
  tx: Transaction,
  { sealer, randomHex }: { readonly sealer: Sealer; readonly randomHex: RandomHex },
  { key, insideCidr: wished, options }: TunnelWish,
): Promise<VpnTunnelRecord> {
  const number = await tx.pool(VPN_NUMBER_POOL).take(VPN_NUMBERS)
  if (number === null) {
    const text = 'The cloud has no number left for another VPN tunnel.'
    throw new ApiError('VpnConnectionLimitExceeded', text)
  }
  return {
    number,
    ...{ rack: '', host: '', options },
    sealedKey: sealVpnKey(sealer, number, key ?? randomKey(randomHex)),
    insideCidr: await takeInside(tx, number, wished),
  }
}

/** Gives back what the tunnel has; what a CC said of it goes too. */
export async function endTunnel(
  tx: Transaction,
  { number, insideCidr: block }: VpnTunnelRecord,
): Promise<void> {
  await tx.pool(VPN_NUMBER_POOL).give(number)
  await giveInside(tx, block)
  await tx.delete('vpn-link', String(number))
}

/** The block that is wished for, or one that nobody has. Throws InvalidParameterValue. */
async function takeInside(tx: Transaction, number: number, wished: string | null): Promise<string> {
  if (wished !== null && !(await isFree(tx, wished))) {
    throw badValue('TunnelInsideCidr', wished, 'Another tunnel of this cloud has it.')
  }
  const block = wished ?? (await freeInside(tx, number))
  const name = insideName(block)
  await tx.put('name', name, { name: name[1], holder: String(number) })
  return block
}

/** The tunnel's block from now on: the one that is wished for, or the one that it has. */
export async function moveInside(
  tx: Transaction,
  { number, insideCidr: old }: VpnTunnelRecord,
  wished: string | null,
): Promise<string> {
  if (wished === null || wished === old) return old
  const block = await takeInside(tx, number, wished)
  await giveInside(tx, old)
  return block
}

async function giveInside(tx: Transaction, block: string): Promise<void> {
  await tx.delete('name', ...insideName(block))
}

/** The one of the tunnel's number, unless somebody wished for it. */
async function freeInside(tx: Transaction, number: number): Promise<string> {
  const own = formatCidr(insideCidr(number))
  if (await isFree(tx, own)) return own
  for (let n = 0; n < SPARE_BLOCKS; n += 1) {
    const spare = nthBlock(SPARE, INSIDE_LENGTH, (number + n) % SPARE_BLOCKS)
    if (spare !== null && (await isFree(tx, formatCidr(spare)))) return formatCidr(spare)
  }
  const text = 'The cloud has no inner addresses left for another VPN tunnel.'
  throw new ApiError('VpnConnectionLimitExceeded', text)
}

async function isFree(tx: Transaction, block: string): Promise<boolean> {
  return (await tx.get('name', ...insideName(block))) === null
}

/** A key of the store has no slash but between its parts. */
function insideName(block: string): [string, string] {
  return ['vpn-inside', block.replace('/', '-')]
}

/** 192 bits: the alphabet has 64 characters. */
function randomKey(randomHex: RandomHex): string {
  const characters = [...Buffer.from(randomHex(KEY_CHARACTERS), 'hex')].map(
    (byte) => ALPHABET[byte % ALPHABET.length],
  )
  // The first one must not be a zero.
  return characters.join('').replace(/^0/, 'A')
}
