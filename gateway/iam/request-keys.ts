// What conditions may ask of every call, whatever it is about: who, when, from where and how (IAM
// user guide, "AWS global condition context keys").

import type { Context } from './templates.ts'

/** How a call came in. */
export interface Arrival {
  readonly sourceIp: string
  /** '' without one. */
  readonly userAgent: string
  /** Over TLS. */
  readonly secure: boolean
  readonly region: string
  readonly nowMs: number
}

/** A longer one is cut: it is the caller's own text, and policies are matched against it. */
const MAX_USER_AGENT = 512

export function arrivalKeys({ sourceIp, userAgent, secure, region, nowMs }: Arrival): Context {
  const keys = new Map<string, readonly string[]>([
    ['aws:currenttime', [new Date(nowMs).toISOString()]],
    ['aws:epochtime', [String(Math.floor(nowMs / 1000))]],
    ['aws:principalisawsservice', ['false']],
    ['aws:requestedregion', [region]],
    ['aws:securetransport', [String(secure)]],
    ['aws:viaawsservice', ['false']],
    ['ec2:region', [region]],
  ])
  if (sourceIp !== '') keys.set('aws:sourceip', [sourceIp])
  if (userAgent !== '') keys.set('aws:useragent', [userAgent.slice(0, MAX_USER_AGENT)])
  return keys
}
