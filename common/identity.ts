// Who a certificate says somebody is: its one URI SAN. Nothing else is ever asked.
//   mallee://<cloud>/gateway
//   mallee://<cloud>/rack/<rack>/host/<host>?roles=cc,nc

import { MalleeError } from './errors.ts'

export type Identity =
  | { readonly kind: 'gateway'; readonly cloud: string }
  | {
      readonly kind: 'host'
      readonly cloud: string
      readonly rack: string
      readonly host: string
      readonly roles: readonly ('cc' | 'sc' | 'nc')[]
    }

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const ROLES = ['cc', 'sc', 'nc'] as const

/** RFC 1123 label in lower case, 1 to 63 characters: names of clouds, racks and hosts. */
export function isName(text: string): boolean {
  return NAME.test(text)
}

export function formatIdentity(identity: Identity): string {
  if (identity.kind === 'gateway') return `mallee://${identity.cloud}/gateway`
  const { cloud, rack, host, roles } = identity
  return `mallee://${cloud}/rack/${rack}/host/${host}?roles=${roles.join(',')}`
}

/** Throws BadMessage when the URI is not one that formatIdentity writes. */
export function parseIdentity(uri: string): Identity {
  const gateway = /^mallee:\/\/([^/]+)\/gateway$/.exec(uri)
  if (gateway?.[1] !== undefined && isName(gateway[1]))
    return { kind: 'gateway', cloud: gateway[1] }
  const match = /^mallee:\/\/([^/]+)\/rack\/([^/]+)\/host\/([^/?]+)\?roles=([a-z,]+)$/.exec(uri)
  const [, cloud = '', rack = '', host = '', list = ''] = match ?? []
  const roles = ROLES.filter((role) => list.split(',').includes(role))
  if (![cloud, rack, host].every(isName) || roles.join(',') !== list) {
    throw new MalleeError('BadMessage', `${uri} is no identity of a Mallee host`)
  }
  return { kind: 'host', cloud, rack, host, roles }
}
