// The packet filter and the devices to customers' own in one pass: the filter stands before there
// are devices, knows them before routes lead there, and does not wait for them to be made.

import { isDeepStrictEqual } from 'node:util'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import { readTable } from '../host/nft.ts'
import { edgeReconciler } from './edge.ts'
import { EDGE_TABLE } from './names.ts'
import type { Tenants } from './tenants.ts'
import { knowsNames } from './vpn-chains.ts'
import type { VpnLinks } from './vpn-links.ts'

/** `before` with the devices that are there now. */
export async function filterPass(
  { exec, log, vpns }: { readonly exec: Exec; readonly log: Log; readonly vpns: VpnLinks },
  before: Tenants,
): Promise<Tenants> {
  const filter = async (tenants: Tenants): Promise<void> => {
    await reconcileOnce(edgeReconciler(exec, tenants), log)
  }
  // An agent that was just started knows no device yet, and must not cut what passes. A filter that
  // stands lets nothing of a new one through.
  const stands = vpns.isFresh() ? await readTable(exec, 'inet', EDGE_TABLE) : null
  const isLater = stands !== null && knowsNames(stands, before.vpnLinks)
  if (!isLater) await filter(before)
  await vpns.pass(exec, before.vpnLinks)
  const tenants = { ...before, vpnDevices: vpns.devices() }
  if (isLater || !isDeepStrictEqual(before.vpnDevices, tenants.vpnDevices)) await filter(tenants)
  return tenants
}
