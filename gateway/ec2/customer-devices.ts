// What CreateCustomerGateway says of a customer's device: how it speaks, where it is, its ASN.

import { contains, formatAddress, mustCidr, parseAddress } from '../../topology/cidr.ts'
import { isNowhere } from '../../topology/nowhere.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import type { CustomerGatewayRecord } from '../store/vpn-records.ts'
import { badValue, refuseUnknown, required } from './input.ts'
import { GATEWAY_TYPE } from './vpn-ends.ts'

type DeviceInput = Ec2Inputs['CreateCustomerGateway']
export type CustomerDevice = Pick<
  CustomerGatewayRecord,
  'ipAddress' | 'publicKey' | 'deviceName' | 'bgpAsn'
>

/** EC2 API reference, CreateCustomerGateway: past it an ASN is said as BgpAsnExtended. */
export const MAX_SHORT_ASN = 2_147_483_647
const MAX_ASN = 4_294_967_295
const DEFAULT_ASN = 65_000
const MAX_DEVICE_NAME = 255
const WIREGUARD = 'wireguard:'
const KEY_BYTES = 32
const KNOWN = new Set([
  ...['Type', 'BgpAsn', 'BgpAsnExtended', 'PublicIp', 'IpAddress', 'DeviceName'],
  ...['TagSpecifications', 'DryRun'],
])

/**
 * The device of a request: a WireGuard one when its name is `wireguard:` and its public key, else
 * one that speaks IPsec. `fabricPrefix`: of the cloud's own hosts, where no device is. Throws the
 * codes of EC2.
 */
export function deviceOf(input: DeviceInput, fabricPrefix: string): CustomerDevice {
  refuseUnknown(input, KNOWN, new Map())
  const type = required('Type', input.Type)
  if (type !== GATEWAY_TYPE) throw badValue('Type', type, `Expecting ${GATEWAY_TYPE}.`)
  const { DeviceName: deviceName = '' } = input
  if ([...deviceName].length > MAX_DEVICE_NAME) {
    const start = `${deviceName.slice(0, MAX_DEVICE_NAME)}…`
    throw badValue('DeviceName', start, `At most ${MAX_DEVICE_NAME} characters are allowed.`)
  }
  if (/\p{Cc}/u.test(deviceName)) {
    // It is written into files for devices.
    throw badValue('DeviceName', JSON.stringify(deviceName), 'It has control characters.')
  }
  const publicKey = publicKeyIn(deviceName)
  const ipAddress = addressIn(input, fabricPrefix)
  // A WireGuard device may be anywhere and dial; IPsec's keys are kept by addresses.
  if (publicKey === '') required('IpAddress', ipAddress === '' ? undefined : ipAddress)
  return { ipAddress, publicKey, deviceName, bgpAsn: asnIn(input) }
}

/** '' of a device that speaks IPsec. */
function publicKeyIn(deviceName: string): string {
  if (!deviceName.toLowerCase().startsWith(WIREGUARD)) return ''
  const key = deviceName.slice(WIREGUARD.length)
  const bytes = Buffer.from(key, 'base64')
  const isKey = bytes.length === KEY_BYTES && bytes.toString('base64') === key
  if (isKey && deviceName.startsWith(WIREGUARD)) return key
  const why =
    `A WireGuard device is named ${WIREGUARD}<its public key>, the 44 characters of base64 that` +
    ' `wg pubkey` prints.'
  throw badValue('DeviceName', deviceName, why)
}

/** '' when the request has none. */
function addressIn({ IpAddress, PublicIp }: DeviceInput, fabricPrefix: string): string {
  const text = IpAddress ?? PublicIp ?? ''
  if (PublicIp !== undefined && PublicIp !== text) {
    const why = `The request has the addresses ${text} and ${PublicIp}; it must have one.`
    throw new ApiError('InvalidParameterCombination', why)
  }
  if (text === '') return ''
  const parsed = parseAddress(text)
  const name = IpAddress === undefined ? 'PublicIp' : 'IpAddress'
  if (!parsed.ok) throw badValue(name, text, 'Expecting an IPv4 or IPv6 address.')
  const address = parsed.value
  const isOwn = fabricPrefix !== '' && contains(mustCidr(fabricPrefix), address)
  if (!isNowhere(address) && !isOwn) return formatAddress(address)
  throw badValue(name, text, 'No device can be reached at this address.')
}

function asnIn({ BgpAsn: short, BgpAsnExtended: long }: DeviceInput): number {
  if (short !== undefined && long !== undefined) {
    const text = 'The request has BgpAsn and BgpAsnExtended; it must have one of them.'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (long !== undefined) return inRange('BgpAsnExtended', long, MAX_SHORT_ASN + 1, MAX_ASN)
  return inRange('BgpAsn', short ?? DEFAULT_ASN, 1, MAX_SHORT_ASN)
}

function inRange(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw badValue(name, value, `Expecting a number from ${least} to ${most}.`)
}
