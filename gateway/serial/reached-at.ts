// Where other gateways of the cloud may reach this one: what the operator says, or the addresses
// that this machine has. Who dials finds out which of them lead here.

import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

const MAX_ADDRESSES = 8
/** Listens on all addresses. */
const EVERYWHERE = new Set(['::', '0.0.0.0'])

/** `listenHost` and `reachableAt` as configured, `port` of the sessions. */
export function reachedAt(
  { listenHost, reachableAt }: { listenHost: string; reachableAt: string | null },
  port: number,
): { host: string; port: number }[] {
  if (reachableAt !== null) return [{ host: reachableAt, port }]
  if (!EVERYWHERE.has(listenHost)) return [{ host: listenHost, port }]
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const fits = all.filter(({ address }) => isIP(address) !== 0 && !/^fe80:/i.test(address))
  // Two gateways on one machine may have nothing but loopback between them: last.
  const sorted = [...fits.filter((one) => !one.internal), ...fits.filter((one) => one.internal)]
  return sorted.slice(0, MAX_ADDRESSES).map(({ address }) => ({ host: address, port }))
}
