// Attaches an interface to an instance and takes it away again: what its record says then, and
// whether it may be. An instance's record lists its interfaces: whoever changes them meets there.

import { ApiError } from '../aws/api-error.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { InstanceRecord, InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { badValue } from './input.ts'
import type { InstanceTypeSpec } from './instance-types.ts'
import { hostnameIn, UNATTACHED } from './new-interface.ts'

/** Device indexes go from 0 to here: as many as the largest type has interfaces. */
const MAX_DEVICE_INDEX = 14

export interface Attaching {
  readonly attachment: string
  readonly deviceIndex: number
  readonly deleteOnTermination: boolean
  readonly nowMs: number
}

type Place = Pick<InstanceRecord, 'id' | 'rack' | 'host'>

/** The record of the interface on its instance. One of a stretched subnet gets a rack by that. */
export function attached(
  one: InterfaceRecord,
  subnet: SubnetRecord,
  { id, rack, host }: Place,
  { attachment, deviceIndex, deleteOnTermination, nowMs }: Attaching,
): InterfaceRecord {
  return {
    ...one,
    instance: id,
    attachment,
    deviceIndex,
    attachedAtMs: nowMs,
    deleteOnTermination,
    rack,
    host,
    hostname: hostnameIn(subnet, one.ipv4, id),
  }
}

/** The record of the interface without its instance. */
export async function detached(tx: Transaction, one: InterfaceRecord): Promise<InterfaceRecord> {
  const subnet = await tx.get('subnet', one.subnet)
  const rest = { ...one, ...UNATTACHED, deleteOnTermination: false }
  if (subnet === null) return rest
  return { ...rest, rack: subnet.rack, hostname: hostnameIn(subnet, one.ipv4, '') }
}

/** Throws what AWS answers when the interface does not go onto an instance there. */
export function checkAttachable(one: InterfaceRecord, vpc: string, rack: string | null): void {
  if (one.type !== 'interface') throw notPermitted(one)
  if (one.attachment !== '') {
    const text = `Network interface '${one.id}' is currently in use.`
    throw new ApiError('InvalidNetworkInterface.InUse', text)
  }
  if (one.vpc !== vpc) {
    const text = `Network interface '${one.id}' is in ${one.vpc}, and the instance in ${vpc}.`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (rack === null || one.rack === EVERY_RACK || one.rack === rack) return
  const text =
    'You may not attach a network interface to an instance if they are not in the same ' +
    `availability zone: '${one.id}' is in ${one.rack}, and the instance in ${rack}.`
  throw new ApiError('InvalidParameterCombination', text)
}

export function notPermitted({ id, type }: InterfaceRecord): ApiError {
  const text = `The network interface '${id}' belongs to a ${type}, which alone manages it.`
  return new ApiError('OperationNotPermitted', text)
}

export function checkDeviceIndex(index: number): void {
  if (Number.isInteger(index) && index >= 0 && index <= MAX_DEVICE_INDEX) return
  const why = `Expecting a number between 0 and ${MAX_DEVICE_INDEX}.`
  throw badValue('deviceIndex', index, why)
}

export function checkInterfaceCount(type: InstanceTypeSpec, count: number): void {
  if (count <= type.interfaces) return
  const text =
    `Interface count ${count} exceeds the limit for ${type.name}, which is ` +
    `${type.interfaces} network interfaces.`
  throw new ApiError('AttachmentLimitExceeded', text)
}

/** How many addresses of a family the instance's type allows an interface. */
export function checkAddressCount(
  one: InterfaceRecord,
  { name, addresses: limit }: Pick<InstanceTypeSpec, 'name' | 'addresses'>,
): void {
  const ipv4 = (one.ipv4 === '' ? 0 : 1) + one.ipv4More.length
  const ipv6 = (one.ipv6 === '' ? 0 : 1) + one.ipv6More.length
  const count = Math.max(ipv4, ipv6)
  if (count <= limit) return
  const text =
    `Number of private addresses ${count} of '${one.id}' exceeds the limit for ` +
    `${name}, which is ${limit} of each family.`
  throw new ApiError('PrivateIpAddressLimitExceeded', text)
}
