// What conditions may ask of every call, whatever it is about: who, when, from where and how (IAM
// user guide, "AWS global condition context keys").

import { asKeys, type Keys } from './ec2-keys.ts'

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

export function arrivalKeys({ sourceIp, userAgent, secure, region, nowMs }: Arrival): Keys {
  return asKeys({
    'aws:CurrentTime': new Date(nowMs).toISOString(),
    'aws:EpochTime': Math.floor(nowMs / 1000),
    'aws:PrincipalIsAWSService': false,
    'aws:RequestedRegion': region,
    'aws:SecureTransport': secure,
    'aws:SourceIp': sourceIp,
    'aws:UserAgent': userAgent.slice(0, MAX_USER_AGENT),
    'aws:ViaAWSService': false,
    'ec2:Region': region,
  })
}
