// What may be in a set of DHCP options (EC2 API reference, CreateDhcpOptions). The values end up in
// the configuration of a DHCP server, so nothing passes that is not of the very form.

import type { NewDhcpConfiguration } from '@aws-sdk/client-ec2'
import { parseAddress } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { DhcpOptionsRecord } from '../store/network-records.ts'
import { badValue, unsupported } from './input.ts'

/** The cloud's own name servers. */
export const PROVIDED_DNS = 'AmazonProvidedDNS'

const MAX_SERVERS = 4
const MAX_DOMAIN_CHARS = 253
/** All leases of a rack are of one length. */
const LEASE_TIME = 'ipv6-address-preferred-lease-time'

interface Rule {
  readonly most: number
  readonly fits: (value: string) => boolean
  readonly expected: string
}

const RULES: ReadonlyMap<string, Rule> = new Map([
  [
    'domain-name',
    {
      most: 1,
      fits: isDomain,
      expected: 'domain names with spaces between, like corp.example.com',
    },
  ],
  [
    'domain-name-servers',
    {
      most: 2 * MAX_SERVERS,
      fits: (value: string) => value === PROVIDED_DNS || isAddress(value),
      expected: `${PROVIDED_DNS}, or at most ${MAX_SERVERS} addresses of each family`,
    },
  ],
  [
    'ntp-servers',
    {
      most: 2 * MAX_SERVERS,
      fits: isAddress,
      expected: `at most ${MAX_SERVERS} addresses of each family`,
    },
  ],
  [
    'netbios-name-servers',
    { most: MAX_SERVERS, fits: isIpv4, expected: `at most ${MAX_SERVERS} IPv4 addresses` },
  ],
  [
    'netbios-node-type',
    { most: 1, fits: (value: string) => /^[1248]$/.test(value), expected: '1, 2, 4 or 8' },
  ],
])

/** Throws InvalidParameterValue that says which option expects what, UnsupportedOperation. */
export function parseDhcpOptions(
  given: readonly NewDhcpConfiguration[],
): DhcpOptionsRecord['options'] {
  const parsed = given.map(({ Key: key = '', Values: values = [] }) => {
    if (key === LEASE_TIME) throw unsupported(`The DHCP option ${key}`)
    const rule = RULES.get(key)
    if (rule === undefined) {
      throw badValue('dhcpConfiguration', key, `Expecting one of ${[...RULES.keys()].join(', ')}.`)
    }
    // Clients send lists in one value as well.
    const all = values.flatMap((value) => value.split(',')).map((value) => value.trim())
    checkValues(key, all, rule)
    return { key, values: all }
  })
  const keys = parsed.map(({ key }) => key)
  const twice = keys.find((key, i) => keys.indexOf(key) !== i)
  if (twice === undefined) return parsed
  throw new ApiError('InvalidParameterValue', `Duplicate DHCP option '${twice}' specified.`)
}

function checkValues(key: string, values: readonly string[], rule: Rule): void {
  const why = `Expecting ${rule.expected}.`
  const wrong = values.find((value) => !rule.fits(value))
  if (wrong !== undefined) throw badValue(key, wrong, why)
  const perFamily = [4, 6].map((family) => values.filter((one) => familyOf(one) === family).length)
  const isMixed = values.includes(PROVIDED_DNS) && values.length > 1
  const isTooMany = values.length > rule.most || perFamily.some((count) => count > MAX_SERVERS)
  if (values.length === 0 || isTooMany || isMixed) throw badValue(key, values.join(', '), why)
}

function familyOf(value: string): 4 | 6 | null {
  const parsed = parseAddress(value)
  return parsed.ok ? parsed.value.family : null
}

function isAddress(value: string): boolean {
  return familyOf(value) !== null
}

function isIpv4(value: string): boolean {
  return familyOf(value) === 4
}

/** Several are separated by spaces, as EC2 has it; the first one is the hosts' own. */
function isDomain(value: string): boolean {
  const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
  const domain = new RegExp(`^${label}(?:\\.${label})*$`)
  return value.length <= MAX_DOMAIN_CHARS && value.split(' ').every((one) => domain.test(one))
}
