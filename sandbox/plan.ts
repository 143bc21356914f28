// What a world consists of, as data. SANDBOX_PLAN is what `npm start` brings up.

import { ADMIN_PORT, API_PORT } from '../common/ports.ts'
import { DEFAULT_REGION } from '../gateway/region.ts'
import { SANDBOX } from './claim.ts'

export interface HostPlan {
  readonly name: string
  readonly roles: readonly ('cc' | 'sc' | 'nc')[]
  /** What instances may use, as rack-join takes it: `vcpus,MiB,GiB`; else what the machine has. */
  readonly capacity?: string
}

/** The first host is the rack's edge; the others are behind it, on the rack's trunk and LAN. */
export interface RackPlan {
  readonly name: string
  /** Which protocol its edge joins over. */
  readonly joinsOver: 'ipv4' | 'ipv6'
  readonly hosts: readonly [HostPlan, ...HostPlan[]]
}

export interface WorldPlan {
  readonly world: string
  readonly region: string
  /** Where the machine's loopback answers for the gateway; 0 for any free port. */
  readonly apiPort: number
  readonly adminPort: number
  /** Of the internet's edges, in bytes. */
  readonly mtu: number
  readonly racks: readonly RackPlan[]
}

/** A cloud of another owner, which joins a world that is there. Its hosts' names are its own. */
export interface OtherPlan {
  readonly name: string
  readonly region: string
  /** Where the machine's loopback answers for its gateway; 0 for any free port. */
  readonly apiPort: number
  /** Of its gateway on the internet, up to 199; its racks have those that follow. */
  readonly site: number
  /** Its hosts have no IPv4 on the internet. */
  readonly isIpv6Only?: true
  readonly racks: readonly RackPlan[]
}

export const GATEWAY = 'gateway'
/** Somebody's host on the internet, who is nobody here. */
export const OUTSIDE = 'outside'

export const SANDBOX_PLAN: WorldPlan = {
  world: SANDBOX,
  region: DEFAULT_REGION,
  apiPort: API_PORT,
  adminPort: ADMIN_PORT,
  mtu: 1500,
  racks: [
    {
      name: 'a',
      joinsOver: 'ipv4',
      hosts: [
        { name: 'a1', roles: ['cc'] },
        { name: 'a2', roles: ['sc', 'nc'] },
        { name: 'a3', roles: ['nc'] },
      ],
    },
    { name: 'b', joinsOver: 'ipv6', hosts: [{ name: 'b1', roles: ['cc', 'sc', 'nc'] }] },
  ],
}

/** What `npm start -- --other-cloud` brings up beside it. */
export const OTHER_PLAN: OtherPlan = {
  ...{ name: 'west', region: 'west-1', apiPort: 0, site: 100 },
  racks: [
    {
      ...{ name: 'a', joinsOver: 'ipv4' },
      hosts: [{ name: 'west-a1', roles: ['cc', 'sc', 'nc'] }],
    },
  ],
}

/** The host of its gateway. */
export function gatewayOf({ name }: Pick<OtherPlan, 'name'>): string {
  return `${name}-gateway`
}

/** The address of a host on its rack's LAN: rack and host counted from 1. */
export function lanAddress(rack: number, host: number): string {
  return `192.168.${rack}.${host}`
}
