// The names of what a CC makes on its host.

/** The one WireGuard interface of a CC. */
export const TUNNEL_DEVICE = 'mallee0'

/** The WireGuard devices to peer clouds begin so. */
export const PEER_DEVICES = 'mallee-p'

/** The device to the peer cloud with a number. */
export function peerDevice(number: number): string {
  return `${PEER_DEVICES}${number}`
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

/** The device that has the addresses of the services for instances. */
export const SERVICE_DEVICE = 'lo'

/** Where instances find the metadata service and the name server, as in EC2. */
export const METADATA_IPV4 = '169.254.169.254'
export const METADATA_IPV6 = 'fd00:ec2::254'
export const DNS_IPV4 = '169.254.169.253'
export const DNS_IPV6 = 'fd00:ec2::253'

/** Where the agent's metadata service listens; the edge leads port 80 to it. */
export const METADATA_PORT = 8776
