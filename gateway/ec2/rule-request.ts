// The rules that a request writes, in each of the forms that EC2 has had: IpPermissions, the flat
// parameters of old clients, and the single rule of ModifySecurityGroupRules. Form only.

import type { IpPermission, SecurityGroupRuleRequest } from '@aws-sdk/client-ec2'
import { formatCidr, parseLooseCidr } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import { badValue, required } from './input.ts'
import { type Ports, parsePorts, parseProtocol } from './protocols.ts'

export type PeerWish =
  | { readonly kind: 'ipv4' | 'ipv6'; readonly cidr: string }
  | { readonly kind: 'group'; readonly id: string; readonly name: string; readonly owner: string }
  | { readonly kind: 'prefix-list'; readonly id: string }

export interface RuleWish extends Ports {
  readonly protocol: string
  readonly description: string
  readonly peer: PeerWish
}

export interface FlatPermission {
  readonly IpPermissions?: readonly IpPermission[] | undefined
  readonly IpProtocol?: string | undefined
  readonly FromPort?: number | undefined
  readonly ToPort?: number | undefined
  readonly CidrIp?: string | undefined
  readonly SourceSecurityGroupName?: string | undefined
  readonly SourceSecurityGroupOwnerId?: string | undefined
}

/** Rules in one request. */
const MAX_WISHES = 1_000
/** EC2 API reference, IpRange: the characters of descriptions, which names share. */
const TEXT = /^[A-Za-z0-9 ._\-:/()#,@[\]+=&;{}!$*]*$/
const MAX_TEXT_CHARS = 255

/** The text of a name or a description. Throws InvalidParameterValue. */
export function parseText(parameter: string, text: string): string {
  if (text.length <= MAX_TEXT_CHARS && TEXT.test(text)) return text
  const why = `Expecting at most ${MAX_TEXT_CHARS} characters of a-z, A-Z, 0-9, spaces, and`
  throw badValue(parameter, text.slice(0, MAX_TEXT_CHARS), `${why} ._-:/()#,@[]+=&;{}!$*`)
}

/** IpPermissions, or what the flat parameters would be as one. */
export function permissionsOf(input: FlatPermission): readonly IpPermission[] {
  const { IpPermissions: permissions, IpProtocol, FromPort, ToPort } = input
  const { CidrIp, SourceSecurityGroupName: name, SourceSecurityGroupOwnerId: owner } = input
  const flat = [IpProtocol, FromPort, ToPort, CidrIp, name, owner]
  if (flat.every((one) => one === undefined)) return required('IpPermissions', permissions ?? [])
  if (permissions !== undefined && permissions.length > 0) {
    const text = 'The parameter IpPermissions may not be used in combination with IpProtocol,'
    const others = 'FromPort, ToPort, CidrIp, SourceSecurityGroupName, SourceSecurityGroupOwnerId'
    throw new ApiError('InvalidParameterCombination', `${text} ${others}`)
  }
  const ranges = CidrIp === undefined ? [] : [{ CidrIp }]
  const groups = name === undefined ? [] : [{ GroupName: name, UserId: owner }]
  // Old clients that name a group and no protocol mean all of them.
  const protocol = groups.length > 0 ? (IpProtocol ?? '-1') : required('IpProtocol', IpProtocol)
  return [{ IpProtocol: protocol, FromPort, ToPort, IpRanges: ranges, UserIdGroupPairs: groups }]
}

export function parsePermissions(permissions: readonly IpPermission[]): RuleWish[] {
  const wishes = permissions.flatMap(parsePermission)
  if (wishes.length <= MAX_WISHES) return wishes
  const text = `The request has ${wishes.length} rules; at most ${MAX_WISHES} are allowed.`
  throw new ApiError('InvalidParameterValue', text)
}

/** Of the single rule exactly one field says who is at the other end. */
export function parseRuleRequest(rule: SecurityGroupRuleRequest): RuleWish {
  const { CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId, Description } = rule
  const [wish, ...more] = parsePermission({
    IpProtocol: rule.IpProtocol,
    FromPort: rule.FromPort,
    ToPort: rule.ToPort,
    IpRanges: CidrIpv4 === undefined ? [] : [{ CidrIp: CidrIpv4, Description }],
    Ipv6Ranges: CidrIpv6 === undefined ? [] : [{ CidrIpv6, Description }],
    PrefixListIds: PrefixListId === undefined ? [] : [{ PrefixListId, Description }],
    UserIdGroupPairs:
      ReferencedGroupId === undefined ? [] : [{ GroupId: ReferencedGroupId, Description }],
  })
  if (wish !== undefined && more.length === 0) return wish
  const text = 'Expecting exactly one of CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId.'
  throw new ApiError('InvalidParameterCombination', text)
}

function parsePermission(permission: IpPermission): RuleWish[] {
  const protocol = parseProtocol('ipProtocol', required('IpProtocol', permission.IpProtocol))
  const ports = parsePorts(protocol, permission.FromPort, permission.ToPort)
  const wish = (peer: PeerWish, description: string | undefined): RuleWish => ({
    protocol,
    ...ports,
    description: parseText('description', description ?? ''),
    peer,
  })
  const wishes = [
    ...(permission.IpRanges ?? []).map((one) =>
      wish({ kind: 'ipv4', cidr: prefixOf(4, one.CidrIp) }, one.Description),
    ),
    ...(permission.Ipv6Ranges ?? []).map((one) =>
      wish({ kind: 'ipv6', cidr: prefixOf(6, one.CidrIpv6) }, one.Description),
    ),
    ...(permission.PrefixListIds ?? []).map((one) => {
      const id = required('PrefixListId', one.PrefixListId)
      return wish({ kind: 'prefix-list', id }, one.Description)
    }),
    ...(permission.UserIdGroupPairs ?? []).map((one) => {
      const { GroupId: id = '', GroupName: name = '', UserId: owner = '' } = one
      if (id === '' && name === '') required('GroupId', undefined)
      return wish({ kind: 'group', id, name, owner }, one.Description)
    }),
  ]
  if (wishes.length > 0) return wishes
  const text = 'The request must contain at least one of IpRanges, Ipv6Ranges, PrefixListIds,'
  throw new ApiError('MissingParameter', `${text} UserIdGroupPairs for each permission`)
}

/** Host bits do not count, as in EC2. */
function prefixOf(family: 4 | 6, text: string | undefined): string {
  const name = family === 4 ? 'CidrIp' : 'CidrIpv6'
  const parsed = parseLooseCidr(required(name, text))
  if (parsed.ok && parsed.value.family === family) return formatCidr(parsed.value)
  const example = family === 4 ? '203.0.113.0/24' : '2001:db8::/32'
  const why = `CIDR block ${text ?? ''} is malformed; an IPv${family} one looks like ${example}`
  throw new ApiError('InvalidParameterValue', why)
}
