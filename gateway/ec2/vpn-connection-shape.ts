// How a VPN connection is shown, and what it is found by.

import type { TunnelOption, VgwTelemetry, VpnConnection } from '@aws-sdk/client-ec2'
import type { View } from '../store/state.ts'
import type { VpnConnectionRecord, VpnTunnelRecord } from '../store/vpn-records.ts'
import { configurationOf } from '../vpn/configuration.ts'
import { xmlConfiguration } from '../vpn/configuration-xml.ts'
import type { OpenVpnKey } from '../vpn/keys.ts'
import { tunnelState } from '../vpn/links.ts'
import type { Filterable } from './filters.ts'
import { tagList } from './tagging.ts'
import { EVERYTHING_IPV4, outsideAddressType } from './vpn-connection-options.ts'
import { GATEWAY_TYPE } from './vpn-ends.ts'

export function vpnFilters(view: View): Filterable<VpnConnection> {
  const asnOf = ({ CustomerGatewayId: id = '' }: VpnConnection): number | undefined =>
    view.get('customer-gateway', id)?.bgpAsn
  return {
    fields: {
      'bgp-asn': asnOf,
      'customer-gateway-configuration': (one) => one.CustomerGatewayConfiguration,
      'customer-gateway-id': (one) => one.CustomerGatewayId,
      'option.static-routes-only': (one) => one.Options?.StaticRoutesOnly,
      'route.destination-cidr-block': (one) => one.Routes?.map((to) => to.DestinationCidrBlock),
      state: (one) => one.State,
      'transit-gateway-id': (one) => one.TransitGatewayId,
      type: (one) => one.Type,
      'vpn-connection-id': (one) => one.VpnConnectionId,
      'vpn-gateway-id': (one) => one.VpnGatewayId,
    },
    tags: (one) => one.Tags,
  }
}

/** As in EC2 the keys are shown to everybody who may describe the connection. */
export function vpnConnectionOf(
  view: View,
  openKey: OpenVpnKey,
  connection: VpnConnectionRecord,
): VpnConnection {
  const { id, state, customerGateway, vpnGateway, routes } = connection
  const device = view.get('customer-gateway', customerGateway)
  const isAttached = (view.get('vpn-gateway', vpnGateway)?.vpc ?? '') !== ''
  const isLive = state !== 'deleted'
  const tunnels = isLive ? connection.tunnels : []
  return {
    VpnConnectionId: id,
    State: state,
    Type: GATEWAY_TYPE,
    Category: 'VPN',
    CustomerGatewayId: customerGateway,
    VpnGatewayId: vpnGateway,
    GatewayAssociationState: isAttached && isLive ? 'associated' : 'not-associated',
    CustomerGatewayConfiguration: isLive
      ? xmlConfiguration(configurationOf(view, openKey, connection))
      : undefined,
    Options: {
      EnableAcceleration: false,
      StaticRoutesOnly: true,
      LocalIpv4NetworkCidr: EVERYTHING_IPV4,
      RemoteIpv4NetworkCidr: EVERYTHING_IPV4,
      OutsideIpAddressType: device === null ? undefined : outsideAddressType(device),
      TunnelInsideIpVersion: 'ipv4',
      TunnelOptions: tunnels.map((tunnel) => tunnelOptionOf(view, openKey, connection, tunnel)),
    },
    Routes: routes.map((DestinationCidrBlock) => ({
      DestinationCidrBlock,
      Source: 'Static',
      State: isLive ? 'available' : 'deleted',
    })),
    VgwTelemetry: tunnels.map((tunnel) => telemetryOf(view, connection, tunnel)),
    Tags: tagList(view, id),
  }
}

function tunnelOptionOf(
  view: View,
  openKey: OpenVpnKey,
  connection: VpnConnectionRecord,
  tunnel: VpnTunnelRecord,
): TunnelOption {
  const { address } = tunnelState(view, connection, tunnel)
  const { options } = tunnel
  return {
    OutsideIpAddress: address === '' ? undefined : address,
    TunnelInsideCidr: tunnel.insideCidr,
    PreSharedKey: openKey(tunnel),
    Phase1EncryptionAlgorithms: listed(options.phase1EncryptionAlgorithms),
    Phase1IntegrityAlgorithms: listed(options.phase1IntegrityAlgorithms),
    Phase1DHGroupNumbers: listed(options.phase1DhGroupNumbers),
    Phase1LifetimeSeconds: options.phase1LifetimeSeconds,
    Phase2EncryptionAlgorithms: listed(options.phase2EncryptionAlgorithms),
    Phase2IntegrityAlgorithms: listed(options.phase2IntegrityAlgorithms),
    Phase2DHGroupNumbers: listed(options.phase2DhGroupNumbers),
    Phase2LifetimeSeconds: options.phase2LifetimeSeconds,
    DpdTimeoutSeconds: options.dpdTimeoutSeconds,
    DpdTimeoutAction: options.dpdTimeoutAction,
    IkeVersions: listed(options.ikeVersions ?? []),
    StartupAction: options.startupAction,
    EnableTunnelLifecycleControl: false,
  }
}

function telemetryOf(
  view: View,
  connection: VpnConnectionRecord,
  tunnel: VpnTunnelRecord,
): VgwTelemetry {
  const { address, up, changedAtMs, message } = tunnelState(view, connection, tunnel)
  return {
    OutsideIpAddress: address === '' ? undefined : address,
    Status: up ? 'UP' : 'DOWN',
    StatusMessage: message,
    LastStatusChange: new Date(changedAtMs),
    AcceptedRouteCount: up ? connection.routes.length : 0,
  }
}

/** As EC2 has it, what nobody asked for is not said. */
function listed<T extends string | number>(values: readonly T[]): { Value: T }[] | undefined {
  return values.length === 0 ? undefined : values.map((Value) => ({ Value }))
}
