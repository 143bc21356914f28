// What a peer cloud states of a VPC peering, looked at before anything is made of it: its shape and
// its sizes, not whether it may.

import type { Connection } from '../../proto/gen/mallee/v1/peering_pb.js'
import { type Cidr, formatCidr, mustCidr, overlaps, parseCidr } from '../../topology/cidr.ts'
import { MAX_CANDIDATES } from '../../topology/peering.ts'
import { no, ok, type Result } from '../../topology/result.ts'
import { VPC_LENGTHS } from '../ec2/ipam-pools.ts'
import { isPrivate } from './limits.ts'

/** As many blocks as a VPC may have, of both families (AWS, "VPC quotas"). */
export const MAX_OFFERS = 10
const MAX_TERMS = 16

/** Says what is wrong with it, for people. */
export function checkConnection(said: Connection): Result<null, string> {
  const { id, account, vpcId, otherAccount, otherVpcId, offers, chosen } = said
  if (!/^pcx-[0-9a-f]{17}$/.test(id)) return no('its id is no pcx- and 17 hex digits')
  for (const one of [account, otherAccount]) {
    if (!/^\d{12}$/.test(one)) return no('an account is not 12 digits')
  }
  for (const one of [vpcId, otherVpcId]) {
    if (!/^vpc-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(one)) return no('a VPC has no id of one')
  }
  const terms = [said.terms, ...said.formerTerms]
  if (!terms.every((one) => /^(?:[0-9a-f]{64})?$/.test(one))) {
    return no('its terms are no SHA-256')
  }
  if (terms.length > MAX_TERMS) return no(`it has more than ${MAX_TERMS} terms`)
  if (offers.length > MAX_OFFERS || chosen.length > MAX_OFFERS) {
    return no(`it has more than ${MAX_OFFERS} blocks`)
  }
  const seen: Cidr[] = []
  for (const { candidates } of offers) {
    const wrong = checkOffer(candidates)
    if (wrong !== null) return no(wrong)
    const [first] = candidates
    const best = mustCidr(first ?? '')
    if (seen.some((one) => overlaps(one, best))) return no(`${first} is offered twice`)
    seen.push(best)
  }
  for (const cidr of chosen) if (!parseCidr(cidr).ok) return no('what it chose is no prefix')
  return ok(null)
}

/** May it be what somebody's block is seen as: private, and of a VPC's sizes? */
function isPrivateBlock(cidr: Cidr): boolean {
  const { shortest, longest } = VPC_LENGTHS[cidr.family]
  return cidr.length >= shortest && cidr.length <= longest && isPrivate(cidr)
}

function checkOffer(candidates: readonly string[]): string | null {
  const [first] = candidates
  if (first === undefined) return 'a block is offered as nothing'
  if (candidates.length > MAX_CANDIDATES) return `a block has more than ${MAX_CANDIDATES} prefixes`
  const parsed = candidates.map((text) => parseCidr(text))
  for (const [index, one] of parsed.entries()) {
    if (!one.ok || formatCidr(one.value) !== candidates[index]) return 'an offer is no prefix'
    if (!isPrivateBlock(one.value)) return `${candidates[index]} is no private block of a VPC`
  }
  const alike = parsed.every(
    (one) => one.ok && parsed[0]?.ok === true && isAlike(one.value, parsed[0].value),
  )
  return alike ? null : `the prefixes beside ${first} are not all of its size`
}

function isAlike(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.length === b.length
}
