// Where the members of a REST service's inputs and outputs are in HTTP, from the SDK's schemas.

import type { Binding, Http } from '../gateway/aws/model.ts'

export interface RestTraits {
  readonly httpLabel?: number
  readonly httpHeader?: string
  readonly httpPrefixHeaders?: string
  readonly httpQuery?: string
  readonly httpPayload?: number
  readonly xmlAttribute?: number
  readonly xmlNamespace?: readonly [prefix: string, uri: string]
  readonly streaming?: number
  /** How a time is written: `i` ISO 8601, `h` as HTTP does. */
  readonly timestamp?: 'i' | 'h'
}

export function bindingsOf(traits: RestTraits): Binding {
  return {
    ...(traits.httpLabel && { lb: 1 }),
    ...(traits.httpHeader !== undefined && { h: traits.httpHeader.toLowerCase() }),
    ...(traits.httpPrefixHeaders !== undefined && { hp: traits.httpPrefixHeaders.toLowerCase() }),
    ...(traits.httpQuery !== undefined && { hq: traits.httpQuery }),
    ...(traits.httpPayload && { pl: 1 }),
    ...(traits.xmlAttribute && { a: 1 }),
    ...(traits.xmlNamespace !== undefined && { ns: traits.xmlNamespace }),
    ...(traits.streaming && { st: 1 }),
    ...(traits.timestamp !== undefined && { tf: traits.timestamp }),
  }
}

/** Method, path and query, status. `x-id` is for people who read logs. */
export function httpOf(traits: unknown): Http {
  const { http } = traits as { readonly http: Http }
  const [method, uri, status] = http
  const [path = '', query = ''] = uri.split('?')
  const literals = query.split('&').filter((each) => each !== '' && !each.startsWith('x-id='))
  return [method, literals.length === 0 ? path : `${path}?${literals.join('&')}`, status]
}
