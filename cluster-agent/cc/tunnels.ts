// The WireGuard tunnels of this CC to the other racks: one device, one peer per remote CC; and that
// the host forwards.

import { join } from 'node:path'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import { readSysctls } from '../host/ip.ts'
import { keepSysctls } from '../host/originals.ts'
import type { Paths } from '../paths.ts'
import { TUNNEL_DEVICE } from './names.ts'
import { forwardingSysctls, readUnderlay } from './underlay.ts'
import {
  planWgLink,
  WgLink,
  type WgLinkDesired,
  type WgLinkOptions,
  type WgLinkSeen,
  type WgLinkStep,
} from './wg-link.ts'

export interface TunnelsDesired extends Omit<WgLinkDesired, 'device' | 'peers'> {
  readonly tunnels: readonly Tunnel[]
}

export interface TunnelsSeen extends WgLinkSeen {
  readonly sysctls: ReadonlyMap<string, string>
}

export type TunnelStep =
  | WgLinkStep
  | { readonly kind: 'sysctls'; readonly values: ReadonlyMap<string, string> }

/** Keeps the tunnels. */
export class Tunnels {
  readonly #options: WgLinkOptions
  readonly #link: WgLink

  constructor(options: WgLinkOptions) {
    this.#options = options
    this.#link = new WgLink(options, TUNNEL_DEVICE, keyFile(options.paths))
  }

  reconciler(exec: Exec, desired: TunnelsDesired): Reconciler<TunnelsSeen, TunnelStep> {
    return {
      name: 'tunnels',
      observe: async () => {
        const underlay = await readUnderlay(exec)
        const sysctls = await readSysctls(exec, [...forwardingSysctls(underlay).keys()])
        return { ...(await this.#link.observe(exec, underlay)), sysctls }
      },
      plan: (seen) => planTunnels(desired, seen),
      apply: (step) => this.#apply(exec, step),
    }
  }

  async #apply(exec: Exec, step: TunnelStep): Promise<void> {
    if (step.kind !== 'sysctls') return this.#link.apply(exec, step)
    return keepSysctls(exec, this.#options.paths, step.values)
  }
}

export function planTunnels(desired: TunnelsDesired, seen: TunnelsSeen): TunnelStep[] {
  const { tunnels: peers, ...device } = desired
  const steps: TunnelStep[] = planWgLink({ device: TUNNEL_DEVICE, ...device, peers }, seen)
  // Last: nothing is forwarded before everything that it may take stands.
  const sysctls = forwardingSysctls(seen.underlay)
  const values = new Map([...sysctls].filter(([key, value]) => seen.sysctls.get(key) !== value))
  if (values.size > 0) steps.push({ kind: 'sysctls', values })
  return steps
}

/** Where the private key is made and stays. */
export function keyFile(paths: Paths): string {
  return join(paths.stateDir, 'wireguard.key')
}
