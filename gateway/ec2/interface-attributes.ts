// DescribeNetworkInterfaceAttribute, ModifyNetworkInterfaceAttribute,
// ResetNetworkInterfaceAttribute.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import type { InterfaceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { namedInView, notFound } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { unknownAttachment } from './interface-attachments.ts'
import { groupsFor, parseGroups } from './interface-groups.ts'
import { attachmentOf, groupList } from './interface-shape.ts'
import { type InterfaceParts, ownInterface, parseDescription } from './interfaces.ts'

type AttributeHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeNetworkInterfaceAttribute'
    | 'ModifyNetworkInterfaceAttribute'
    | 'ResetNetworkInterfaceAttribute'
  >
>
type Described = Ec2Outputs['DescribeNetworkInterfaceAttribute']
type Changes = Ec2Inputs['ModifyNetworkInterfaceAttribute']

const MODIFY_KNOWN = new Set([
  'NetworkInterfaceId',
  'Description',
  'SourceDestCheck',
  'Groups',
  'Attachment',
  'DryRun',
])
const ATTACHMENT_KNOWN = new Set(['AttachmentId', 'DeleteOnTermination'])
const NOTHING: ReadonlyMap<string, readonly unknown[]> = new Map()

const ATTRIBUTES: Readonly<Record<string, (view: View, one: InterfaceRecord) => Described>> = {
  description: (_view, one) => ({ Description: { Value: one.description } }),
  groupSet: (view, one) => ({ Groups: groupList(view, one.securityGroups) }),
  sourceDestCheck: (_view, one) => ({ SourceDestCheck: { Value: one.sourceDestCheck } }),
  attachment: (view, one) => ({ Attachment: attachmentOf(view, one) }),
  associatePublicIpAddress: (view, one) => ({
    AssociatePublicIpAddress: view.by('address', 'interface', one.id).some((ip) => ip.auto),
  }),
}

export function interfaceAttributeHandlers({ state }: InterfaceParts): AttributeHandlers {
  return {
    DescribeNetworkInterfaceAttribute: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      const show = ATTRIBUTES[required('Attribute', input.Attribute)]
      if (show === undefined) {
        const why = `Expecting one of ${Object.keys(ATTRIBUTES).join(', ')}.`
        throw badValue('attribute', input.Attribute, why)
      }
      const view = await state.fresh()
      const [one] = namedInView(view, 'interface', [id], caller.account)
      if (one === undefined) throw notFound('interface', [id])
      endDryRun(input)
      return { NetworkInterfaceId: id, ...show(view, one) }
    },

    ModifyNetworkInterfaceAttribute: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      refuseUnknown(input, MODIFY_KNOWN, NOTHING)
      refuseUnknown(input.Attachment ?? {}, ATTACHMENT_KNOWN, NOTHING, 'Attachment.')
      checkOne(input)
      await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        const next = await changed(tx, state, one, input)
        endDryRun(input)
        await tx.put('interface', [id], next)
        await tellInstance(tx, next)
      })
      return {}
    },

    ResetNetworkInterfaceAttribute: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      required('SourceDestCheck', input.SourceDestCheck)
      await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        endDryRun(input)
        await tx.put('interface', [id], { ...one, sourceDestCheck: true })
      })
      return {}
    },
  }
}

/** The interface with other groups. Throws when one is not its VPC's. */
export async function withGroups(
  tx: Transaction,
  state: State,
  one: InterfaceRecord,
  groups: readonly string[],
): Promise<InterfaceRecord> {
  const asked = { ids: parseGroups(groups), names: [] }
  const view = await state.fresh()
  return { ...one, securityGroups: await groupsFor(tx, view, one.account, one.vpc, asked) }
}

/** An instance's groups are those of its first interface. */
export async function tellInstance(tx: Transaction, one: InterfaceRecord): Promise<void> {
  const instance = one.instance === '' ? null : await tx.get('instance', one.instance)
  if (instance === null || one.deviceIndex !== 0) return
  const { securityGroups } = one
  await tx.put('instance', [instance.id], { ...instance, securityGroups })
}

async function changed(
  tx: Transaction,
  state: State,
  one: InterfaceRecord,
  { Description, SourceDestCheck, Groups, Attachment }: Changes,
): Promise<InterfaceRecord> {
  if (Description?.Value !== undefined) {
    return { ...one, description: parseDescription(Description.Value) }
  }
  if (SourceDestCheck?.Value !== undefined)
    return { ...one, sourceDestCheck: SourceDestCheck.Value }
  if (Groups !== undefined && Groups.length > 0) return await withGroups(tx, state, one, Groups)
  const attachment = required('Attachment.AttachmentId', Attachment?.AttachmentId)
  const goes = required('Attachment.DeleteOnTermination', Attachment?.DeleteOnTermination)
  if (attachment !== one.attachment) throw unknownAttachment(attachment)
  return { ...one, deleteOnTermination: goes }
}

/** One attribute in a request, as AWS has it. */
function checkOne({ Description, SourceDestCheck, Groups, Attachment }: Changes): void {
  const given = [
    Description?.Value,
    SourceDestCheck?.Value,
    Groups !== undefined && Groups.length > 0 ? Groups : undefined,
    Attachment,
  ].filter((value) => value !== undefined)
  if (given.length === 1) return
  const text = `The request changes ${given.length} attributes; expecting exactly one.`
  const code = given.length === 0 ? 'MissingParameter' : 'InvalidParameterCombination'
  throw new ApiError(code, text)
}
