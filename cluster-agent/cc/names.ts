// The names of what a CC makes on its host.

/** The one WireGuard interface of a CC. */
export const TUNNEL_DEVICE = 'mallee0'

/** The nft table of a CC, family inet. */
export const EDGE_TABLE = 'mallee'

/** The mark (external id) of gateway ports. */
export const GATEWAY_MARK = 'gateway'

/** The CC's port in the network of a VLAN tag. */
export function gatewayPort(vlanTag: number): string {
  return `gw${vlanTag}`
}
