// AttachNetworkInterface, DetachNetworkInterface: hot, while the instance runs.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { checkSlots } from '../ebs/attaching.ts'
import type { InstanceRecord, InterfaceRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import {
  attached,
  checkAddressCount,
  checkAttachable,
  checkDeviceIndex,
  checkInterfaceCount,
  detached,
  notPermitted,
} from './attaching.ts'
import { namedInStore, notFound, randomId } from './ids.ts'
import { endDryRun, refuseUnknown, required } from './input.ts'
import { type InstanceTypeSpec, typeInStore } from './instance-types.ts'
import { type InterfaceParts, interfaceNamed } from './interfaces.ts'

type AttachmentHandlers = Required<
  Pick<Ec2Handlers, 'AttachNetworkInterface' | 'DetachNetworkInterface'>
>

const KNOWN = new Set(['NetworkInterfaceId', 'InstanceId', 'DeviceIndex', 'DryRun'])
const ATTACHMENT_ID = /^eni-attach-(?:[0-9a-f]{8}|[0-9a-f]{17})$/
const HARMLESS = new Map<string, readonly unknown[]>([['NetworkCardIndex', [0]]])

export function attachmentHandlers({ state, randomHex }: InterfaceParts): AttachmentHandlers {
  return {
    AttachNetworkInterface: async ({ caller, nowMs }, input) => {
      const eni = required('NetworkInterfaceId', input.NetworkInterfaceId)
      const instanceId = required('InstanceId', input.InstanceId)
      const deviceIndex = required('DeviceIndex', input.DeviceIndex)
      refuseUnknown(input, KNOWN, HARMLESS)
      checkDeviceIndex(deviceIndex)
      const attachment = await state.update(async (tx) => {
        const one = await interfaceNamed(tx, eni, caller.account)
        const instance = await attachableInstance(tx, instanceId, caller.account)
        checkAttachable(one, instance.vpc, instance.rack)
        const others = await interfacesOn(tx, instance)
        const type = await typeInStore(tx, instance.type)
        checkPlace(instance, others, deviceIndex, type)
        if (type !== null) checkAddressCount(one, type)
        checkSlots(await state.fresh(), instance)
        const subnet = await tx.get('subnet', one.subnet)
        if (subnet === null) throw notFound('subnet', [one.subnet])
        endDryRun(input)
        const next = attached(one, subnet, instance, {
          attachment: randomId(randomHex, 'eni-attach'),
          deviceIndex,
          deleteOnTermination: false,
          nowMs,
        })
        await tx.put('interface', [eni], next)
        const interfaces = [...others, next]
          .sort((a, b) => a.deviceIndex - b.deviceIndex)
          .map(({ id }) => id)
        await tx.put('instance', [instance.id], { ...instance, interfaces })
        return next.attachment
      })
      return { AttachmentId: attachment, NetworkCardIndex: 0 }
    },

    DetachNetworkInterface: async ({ caller }, input) => {
      const attachment = required('AttachmentId', input.AttachmentId)
      const found = attachmentNamed(await state.fresh(), attachment, caller.account)
      await state.update(async (tx) => {
        const one = await tx.get('interface', found.id)
        if (one === null || one.attachment !== attachment) throw unknownAttachment(attachment)
        if (one.type !== 'interface') throw notPermitted(one)
        if (one.deviceIndex === 0) {
          const text = `The network interface at device index 0 of ${one.instance} cannot be detached.`
          throw new ApiError('OperationNotPermitted', text)
        }
        const instance = await tx.get('instance', one.instance)
        endDryRun(input)
        await tx.put('interface', [one.id], await detached(tx, one))
        if (instance === null) return
        const interfaces = instance.interfaces.filter((id) => id !== one.id)
        await tx.put('instance', [instance.id], { ...instance, interfaces })
      })
      return {}
    },
  }
}

/** AWS's error for an id that nobody has, or that is none. */
export function unknownAttachment(attachment: string): ApiError {
  if (!ATTACHMENT_ID.test(attachment)) {
    const text = `Invalid id: "${attachment}" (expecting "eni-attach-...")`
    return new ApiError('InvalidNetworkInterfaceAttachmentId.Malformed', text)
  }
  const text = `The attachment ID '${attachment}' does not exist`
  return new ApiError('InvalidAttachmentID.NotFound', text)
}

function attachmentNamed(view: View, attachment: string, account: string): InterfaceRecord {
  const found = view
    .interfacesOf('account', account)
    .find((one) => one.attachment === attachment && attachment !== '')
  if (found === undefined) throw unknownAttachment(attachment)
  return found
}

async function attachableInstance(
  tx: Transaction,
  id: string,
  account: string,
): Promise<InstanceRecord> {
  const [instance] = await namedInStore(tx, 'instance', [id], account)
  if (instance === undefined) throw notFound('instance', [id])
  if (instance.desired === 'running' || instance.state === 'stopped') return instance
  const text = `The instance ${id} is ${instance.state}: no interface can be attached to it`
  throw new ApiError('IncorrectInstanceState', text)
}

async function interfacesOn(
  tx: Transaction,
  { interfaces }: InstanceRecord,
): Promise<InterfaceRecord[]> {
  const found: InterfaceRecord[] = []
  for (const id of interfaces) {
    const one = await tx.get('interface', id)
    if (one !== null) found.push(one)
  }
  return found
}

function checkPlace(
  instance: InstanceRecord,
  others: readonly InterfaceRecord[],
  deviceIndex: number,
  type: InstanceTypeSpec | null,
): void {
  const there = others.find((one) => one.deviceIndex === deviceIndex)
  if (there !== undefined) {
    const text =
      `Instance '${instance.id}' already has the interface '${there.id}' attached at ` +
      `device index '${deviceIndex}'.`
    throw new ApiError('InvalidParameterValue', text)
  }
  if (type !== null) checkInterfaceCount(type, others.length + 1)
}
