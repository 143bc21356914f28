// Configurations of customers' devices to download: GetVpnConnectionDeviceTypes and
// GetVpnConnectionDeviceSampleConfiguration.

import type { VpnConnectionDeviceType } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { Sealer } from '../secrets.ts'
import type { State, View } from '../store/state.ts'
import type { VpnConnectionRecord } from '../store/vpn-records.ts'
import { type Configuration, configurationOf, missingOf } from '../vpn/configuration.ts'
import { strongswanConfiguration } from '../vpn/configuration-strongswan.ts'
import { wireguardConfiguration } from '../vpn/configuration-wireguard.ts'
import { vpnKeys } from '../vpn/keys.ts'
import { namedInView, notFound } from './ids.ts'
import { badValue, endDryRun, required, unsupported } from './input.ts'
import { pageOf } from './paging.ts'

type DeviceHandlers = Required<
  Pick<Ec2Handlers, 'GetVpnConnectionDeviceTypes' | 'GetVpnConnectionDeviceSampleConfiguration'>
>

interface Device {
  readonly id: string
  readonly vendor: string
  readonly software: string
  readonly isWireguard: boolean
  readonly text: (configuration: Configuration) => string
}

const DEVICES: readonly Device[] = [
  {
    ...{ id: 'strongswan', vendor: 'strongSwan', software: '5.9+ (swanctl)', isWireguard: false },
    text: strongswanConfiguration,
  },
  {
    ...{ id: 'wireguard', vendor: 'WireGuard', software: 'wg-quick', isWireguard: true },
    text: wireguardConfiguration,
  },
]
const PLATFORM = 'Linux'
const SAMPLE_TYPES = ['compatibility', 'recommended']

export function vpnDeviceHandlers({
  state,
  sealer,
}: {
  readonly state: State
  readonly sealer: Sealer
}): DeviceHandlers {
  const openKey = vpnKeys(sealer)
  return {
    GetVpnConnectionDeviceTypes: (context, input) => {
      endDryRun(input)
      const action = 'GetVpnConnectionDeviceTypes'
      const all = DEVICES.map(typeOf)
      const cursor = (one: VpnConnectionDeviceType): string => one.VpnConnectionDeviceTypeId ?? ''
      const { items, nextToken } = pageOf(context, action, input, all, cursor, 1_000, 200)
      return { VpnConnectionDeviceTypes: [...items], NextToken: nextToken }
    },

    GetVpnConnectionDeviceSampleConfiguration: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      const device = deviceNamed(
        required('VpnConnectionDeviceTypeId', input.VpnConnectionDeviceTypeId),
      )
      checkWish(input)
      const view = await state.fresh()
      const connection = liveInView(view, id, account)
      const configuration = configurationOf(view, openKey, connection)
      checkKind(device, configuration)
      const missing = missingOf(configuration)
      if (missing !== null) {
        const text = `The VPN connection ${id} has no configuration yet. ${missing}.`
        throw new ApiError('IncorrectState', text)
      }
      endDryRun(input)
      return { VpnConnectionDeviceSampleConfiguration: device.text(configuration) }
    },
  }
}

/** Throws InvalidVpnConnectionID.NotFound for one that is deleted, too. */
export function liveInView(view: View, id: string, account: string): VpnConnectionRecord {
  const [connection] = namedInView(view, 'vpn-connection', [id], account)
  if (connection === undefined || connection.state === 'deleted') {
    throw notFound('vpn-connection', [id])
  }
  return connection
}

function typeOf({ id, vendor, software }: Device): VpnConnectionDeviceType {
  return {
    VpnConnectionDeviceTypeId: id,
    Vendor: vendor,
    Platform: PLATFORM,
    Software: software,
  }
}

function deviceNamed(id: string): Device {
  const device = DEVICES.find((one) => one.id === id)
  if (device !== undefined) return device
  const why = `Expecting ${DEVICES.map((one) => one.id).join(' or ')}.`
  throw badValue('VpnConnectionDeviceTypeId', id, why)
}

function checkWish(input: Ec2Inputs['GetVpnConnectionDeviceSampleConfiguration']): void {
  const { InternetKeyExchangeVersion: version = 'ikev2', SampleType: sample } = input
  if (version === 'ikev1') throw unsupported('InternetKeyExchangeVersion ikev1')
  if (version !== 'ikev2') throw badValue('InternetKeyExchangeVersion', version, 'Expecting ikev2.')
  if (sample === undefined || SAMPLE_TYPES.includes(sample)) return
  throw badValue('SampleType', sample, `Expecting ${SAMPLE_TYPES.join(' or ')}.`)
}

function checkKind({ id, isWireguard }: Device, configuration: Configuration): void {
  const is = configuration.device.publicKey !== ''
  if (is === isWireguard) return
  const speaks = is ? 'is a WireGuard device' : 'speaks IPsec'
  const why = `The customer gateway ${configuration.customerGateway} ${speaks}.`
  throw badValue('VpnConnectionDeviceTypeId', id, why)
}
