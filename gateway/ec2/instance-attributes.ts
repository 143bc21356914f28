// DescribeInstanceAttribute, ModifyInstanceAttribute. Of what can be changed later there are groups
// and the source and destination check; both are the first interface's.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Outputs } from '../aws/handlers.ts'
import type { InstanceRecord, InterfaceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { namedInStore, namedInView, notFound } from './ids.ts'
import { ROOT_DEVICE_NAME } from './images.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { settingsOf } from './instance-settings.ts'
import { tellInstance, withGroups } from './interface-attributes.ts'
import { groupList } from './interface-shape.ts'

type AttributeHandlers = Required<
  Pick<Ec2Handlers, 'DescribeInstanceAttribute' | 'ModifyInstanceAttribute'>
>
type Described = Ec2Outputs['DescribeInstanceAttribute']

const KNOWN = new Set(['InstanceId', 'Groups', 'SourceDestCheck', 'DryRun'])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['DisableApiTermination', [{ Value: false }]],
  ['DisableApiStop', [{ Value: false }]],
  ['EbsOptimized', [{ Value: false }]],
])

const ATTRIBUTES: Readonly<Record<string, (view: View, record: InstanceRecord) => Described>> = {
  blockDeviceMapping: () => ({ BlockDeviceMappings: [] }),
  disableApiStop: () => ({ DisableApiStop: { Value: false } }),
  disableApiTermination: () => ({ DisableApiTermination: { Value: false } }),
  ebsOptimized: () => ({ EbsOptimized: { Value: false } }),
  enaSupport: () => ({ EnaSupport: { Value: false } }),
  enclaveOptions: () => ({ EnclaveOptions: { Enabled: false } }),
  groupSet: (view, record) => ({ Groups: groupList(view, record.securityGroups) }),
  instanceInitiatedShutdownBehavior: (_view, record) => ({
    InstanceInitiatedShutdownBehavior: { Value: settingsOf(record).shutdownBehavior },
  }),
  instanceType: (_view, record) => ({ InstanceType: { Value: record.type } }),
  productCodes: () => ({ ProductCodes: [] }),
  rootDeviceName: () => ({ RootDeviceName: { Value: ROOT_DEVICE_NAME } }),
  sourceDestCheck: (view, record) => ({
    SourceDestCheck: {
      Value: view.get('interface', record.interfaces[0] ?? '')?.sourceDestCheck ?? true,
    },
  }),
  userData: (_view, { userData }) => ({
    UserData: userData === '' ? {} : { Value: userData },
  }),
}
/** Documented ones that no instance here has. */
const UNKNOWN_HERE = new Set(['kernel', 'ramdisk', 'sriovNetSupport', 'disableApiStart'])

export function instanceAttributeHandlers({ state }: { state: State }): AttributeHandlers {
  return {
    DescribeInstanceAttribute: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const attribute: string = required('Attribute', input.Attribute)
      if (UNKNOWN_HERE.has(attribute)) throw unsupported(`The attribute ${attribute}`)
      const show = ATTRIBUTES[attribute]
      if (show === undefined) {
        const why = `Expecting one of ${Object.keys(ATTRIBUTES).join(', ')}.`
        throw badValue('attribute', attribute, why)
      }
      const view = await state.fresh()
      const [record] = namedInView(view, 'instance', [id], caller.account)
      if (record === undefined) throw notFound('instance', [id])
      endDryRun(input)
      return { InstanceId: id, ...show(view, record) }
    },

    ModifyInstanceAttribute: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const groups = input.Groups ?? []
      const check = input.SourceDestCheck?.Value
      const changesNothing = groups.length === 0 && check === undefined
      if (groups.length > 0 && check !== undefined) {
        const text = 'The request changes 2 attributes; expecting exactly one.'
        throw new ApiError('InvalidParameterCombination', text)
      }
      await state.update(async (tx) => {
        const [record] = await namedInStore(tx, 'instance', [id], caller.account)
        if (record === undefined) throw notFound('instance', [id])
        if (changesNothing) {
          endDryRun(input)
          return
        }
        const one = await onlyInterface(tx, record)
        const checked = check === undefined ? one : { ...one, sourceDestCheck: check }
        const next = groups.length > 0 ? await withGroups(tx, state, one, groups) : checked
        endDryRun(input)
        await tx.put('interface', [one.id], next)
        await tellInstance(tx, next)
      })
      return {}
    },
  }
}

async function onlyInterface(tx: Transaction, record: InstanceRecord): Promise<InterfaceRecord> {
  const [first, ...others] = record.interfaces
  if (others.length > 0) {
    const text =
      `There are multiple interfaces attached to instance '${record.id}'. ` +
      'Please specify an interface ID for the operation instead.'
    throw new ApiError('InvalidInstanceID', text)
  }
  const one = first === undefined ? null : await tx.get('interface', first)
  if (one !== null) return one
  const text = `The instance ${record.id} is ${record.state} and has no network interface`
  throw new ApiError('IncorrectInstanceState', text)
}
