// The terms of an agreement with another cloud as flags, for all commands that take them.

import { numberParser } from '@stricli/core'
import { MalleeError } from '../../common/errors.ts'
import type { TermsWish } from '../local/peer-schemas.ts'
import { accountName, rackName } from './names.ts'

export interface TermsFlags {
  readonly regionName?: string
  readonly accounts?: readonly string[]
  readonly borders?: readonly string[]
  readonly maxConnections?: number
  readonly maxPrefixes?: number
  readonly bandwidth?: number
  readonly expires?: number
  readonly acceptPrefix?: readonly string[]
}

/** In a list: everybody, or every rack. */
const ALL = 'all'

export const termsFlags = {
  regionName: {
    kind: 'parsed',
    parse: String,
    brief: "What users here call the other's region",
    placeholder: 'name',
    optional: true,
  },
  accounts: {
    kind: 'parsed',
    parse: String,
    placeholder: 'ids',
    variadic: ',',
    optional: true,
    proposeCompletions: accountName.proposeCompletions,
    brief: 'Accounts that may have peerings with it, or all',
  },
  borders: {
    kind: 'parsed',
    parse: String,
    placeholder: 'racks',
    variadic: ',',
    optional: true,
    proposeCompletions: rackName.proposeCompletions,
    brief: 'Racks whose CCs hold tunnels to it, or all',
  },
  maxConnections: {
    kind: 'parsed',
    parse: numberParser,
    placeholder: 'n',
    optional: true,
    brief: 'VPC peerings at a time; 50 unless said',
  },
  maxPrefixes: {
    kind: 'parsed',
    parse: numberParser,
    placeholder: 'n',
    optional: true,
    brief: 'Prefixes that it may announce; 200 unless said',
  },
  bandwidth: {
    kind: 'parsed',
    parse: numberParser,
    placeholder: 'mbps',
    optional: true,
    brief: 'Mbit/s in each direction; 0 is no limit',
  },
  expires: {
    kind: 'parsed',
    parse: parseTime,
    placeholder: 'time',
    optional: true,
    brief: 'When the agreement ends, as 2030-01-31 or 2030-01-31T12:00:00Z, or never',
  },
  acceptPrefix: {
    kind: 'parsed',
    parse: String,
    placeholder: 'prefix',
    variadic: ',',
    optional: true,
    brief: 'Its prefixes must lie in one of these, or any',
  },
} as const

/** What was said of the terms, as the API takes it. */
export function termsOf(flags: TermsFlags): TermsWish {
  const { regionName, accounts, borders, bandwidth, expires, acceptPrefix, ...limits } = flags
  const { maxConnections, maxPrefixes } = limits
  return {
    ...(regionName !== undefined && { regionName }),
    ...(accounts !== undefined && { accounts: accounts.includes(ALL) ? null : accounts }),
    ...(borders !== undefined && { borders: borders.includes(ALL) ? null : borders }),
    ...(maxConnections !== undefined && { maxConnections }),
    ...(maxPrefixes !== undefined && { maxPrefixes }),
    ...(bandwidth !== undefined && { mbps: bandwidth }),
    ...(expires !== undefined && { expiresAtMs: expires }),
    ...(acceptPrefix !== undefined && {
      acceptedPrefixes: acceptPrefix.includes('any') ? [] : acceptPrefix,
    }),
  }
}

/** Milliseconds since 1970; 0 is never. */
function parseTime(text: string): number {
  if (text === 'never') return 0
  const ms = /^\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  throw new MalleeError('BadArgument', `${JSON.stringify(text)} is no time like 2030-01-31`)
}
