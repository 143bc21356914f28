// Where this host serves volumes: an address of the storage network and iSCSI's port.

import type { Exec } from '../../../common/exec.ts'
import { ISCSI_PORT } from '../../../common/ports.ts'
import type { RackConfig } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { no, ok, type Result } from '../../../topology/result.ts'
import { listLinks } from '../../host/ip.ts'
import { storageAddressOf } from '../../storage-net/network.ts'

export interface PortalOptions {
  readonly exec: Exec
  readonly config: {
    readonly hostIndex: number
    readonly trunk: string | null
    /** The operator's choice; null for the rack's own network. */
    readonly storageAddress: string | null
  }
}

/** `address:port`, IPv6 in brackets; or why there is none now. */
export async function portalOf(
  { exec, config }: PortalOptions,
  rack: RackConfig,
): Promise<Result<string>> {
  const { hostIndex, trunk, storageAddress } = config
  const address = storageAddress ?? storageAddressOf(rack, hostIndex)
  if (address === null) return no(`rack ${rack.rack} has no storage network`)
  if (storageAddress === null && trunk === null && rack.members.length > 1) {
    return no('no trunk joins this host to its rack, and it has no storageAddress')
  }
  const links = await listLinks(exec)
  const has = links.some(
    ({ up, addresses }) => up && addresses.some(({ cidr }) => cidr.startsWith(`${address}/`)),
  )
  if (!has) return no(`the address ${address} is not on this host now`)
  return ok(address.includes(':') ? `[${address}]:${ISCSI_PORT}` : `${address}:${ISCSI_PORT}`)
}
