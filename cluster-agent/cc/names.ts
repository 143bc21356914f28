// The names of what a CC makes on its host.

/** The one WireGuard interface of a CC. */
export const TUNNEL_DEVICE = 'mallee0'

/** The WireGuard devices to peer clouds begin so. */
export const PEER_DEVICES = 'mallee-p'

/** The device to the peer cloud with a number. */
export function peerDevice(number: number): string {
  return `${PEER_DEVICES}${number}`
}

/** The number of such a device; null of others. */
export function peerNumber(device: string): number | null {
  return numberAfter(PEER_DEVICES, device)
}

/** The devices to customers' own begin so, WireGuard's and IPsec's. */
export const VPN_DEVICES = 'mallee-v'

/** strongSwan's own begin so, where the kernel has no IPsec: one for all of its tunnels. */
export const CHARON_DEVICES = 'ipsec'

/** The device of the tunnel of a VPN connection with a number. */
export function vpnDevice(number: number): string {
  return `${VPN_DEVICES}${number}`
}

/** The number of such a device; null of others. */
export function vpnNumber(device: string): number | null {
  return numberAfter(VPN_DEVICES, device)
}

function numberAfter(start: string, device: string): number | null {
  const number = device.startsWith(start) ? device.slice(start.length) : ''
  return /^\d+$/.test(number) ? Number(number) : null
}

/** The nft table of a CC, family inet. */
export const EDGE_TABLE = 'mallee'

/** The mark (external id) of gateway ports. */
export const GATEWAY_MARK = 'gateway'

/** The CC's ports in networks begin so. */
export const GATEWAY_PORTS = 'gw'

/** The CC's port in the network of a VLAN tag. */
export function gatewayPort(vlanTag: number): string {
  return `${GATEWAY_PORTS}${vlanTag}`
}

/** The device between CCs for packets that a route table sends to another rack. */
export const TRANSIT_DEVICE = 'vxt'

/** The mark (external id) of the ports of stretched networks. */
export const VXLAN_MARK = 'vxlan'

/** The VXLAN devices begin so. */
export const STRETCH_DEVICES = 'vx'

/** The device that joins a stretched network of a VLAN tag to the other racks. */
export function stretchDevice(vlanTag: number): string {
  return `${STRETCH_DEVICES}${vlanTag}`
}

/** RFC 7348. */
export const VXLAN_PORT = 4789

/** Of every route and rule that a CC makes outside of the main table: they are its to remove. */
export const ROUTE_PROTOCOL = 77

/** The table that leads to subnets of other racks by the transit device. */
export const TRANSIT_TABLE = 9_999

/** Rules are asked in this order; the kernel's own main table is number 32766. */
export const PRIORITY = {
  around: 9_000,
  ownErrors: 9_050,
  fromVpns: 9_060,
  inside: 9_100,
  transit: 9_200,
  subnet: 10_000,
} as const

/** The device that has the addresses of the services for instances. */
export const SERVICE_DEVICE = 'lo'

/** Where instances find the metadata service and the name server, as in EC2. */
export const METADATA_IPV4 = '169.254.169.254'
export const METADATA_IPV6 = 'fd00:ec2::254'
export const DNS_IPV4 = '169.254.169.253'
export const DNS_IPV6 = 'fd00:ec2::253'

/** Where the agent's metadata service listens; the edge leads port 80 to it. */
export const METADATA_PORT = 8776
