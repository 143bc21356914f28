// The number pools of the racks' own spaces by name. Tenants' are in ec2/pools.ts.

export const RACK_INDEX_POOL = 'rack-index'

/** Numbers of a rack's hosts. */
export function hostIndexPool(rack: string): string {
  return `host-index-${rack}`
}

/** Of peer clouds. */
export const PEER_NUMBER_POOL = 'peer-number'

/** Of VPN tunnels; a connection gives its own back when it is deleted. */
export const VPN_NUMBER_POOL = 'vpn-number'
