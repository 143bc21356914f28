// DescribeInstanceAttribute. An attribute that is asked for is always in the answer, also when its
// value is none: clients read it without looking.

import type { Ec2Handlers, Ec2Outputs } from '../aws/handlers.ts'
import { instanceMappings, rootDeviceName } from '../ebs/mapping-shapes.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { namedInView, notFound } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { settingsOf } from './instance-settings.ts'
import { groupList } from './interface-shape.ts'

type AttributeHandlers = Required<Pick<Ec2Handlers, 'DescribeInstanceAttribute'>>
type Described = Ec2Outputs['DescribeInstanceAttribute']

/** EC2 API reference, DescribeInstanceAttribute: all of its names. */
const ATTRIBUTES: Readonly<Record<string, (view: View, record: InstanceRecord) => Described>> = {
  blockDeviceMapping: (view, record) => ({
    BlockDeviceMappings: instanceMappings(view, record),
  }),
  disableApiStop: (_view, record) => ({
    DisableApiStop: { Value: settingsOf(record).disableApiStop },
  }),
  disableApiTermination: (_view, record) => ({
    DisableApiTermination: { Value: settingsOf(record).disableApiTermination },
  }),
  ebsOptimized: () => ({ EbsOptimized: { Value: false } }),
  enaSupport: () => ({ EnaSupport: { Value: false } }),
  enclaveOptions: () => ({ EnclaveOptions: { Enabled: false } }),
  groupSet: (view, record) => ({ Groups: groupList(view, record.securityGroups) }),
  instanceInitiatedShutdownBehavior: (_view, record) => ({
    InstanceInitiatedShutdownBehavior: { Value: settingsOf(record).shutdownBehavior },
  }),
  instanceType: (_view, record) => ({ InstanceType: { Value: record.type } }),
  kernel: (_view, { kernel }) => ({ KernelId: kernel === undefined ? {} : { Value: kernel } }),
  productCodes: () => ({ ProductCodes: [] }),
  ramdisk: (_view, { ramdisk }) => ({
    RamdiskId: ramdisk === undefined ? {} : { Value: ramdisk },
  }),
  rootDeviceName: (_view, record) => ({ RootDeviceName: { Value: rootDeviceName(record) } }),
  sourceDestCheck: (view, record) => ({
    SourceDestCheck: {
      Value: view.get('interface', record.interfaces[0] ?? '')?.sourceDestCheck ?? true,
    },
  }),
  sriovNetSupport: () => ({ SriovNetSupport: {} }),
  userData: (_view, { userData }) => ({
    UserData: userData === '' ? {} : { Value: userData },
  }),
}

export function instanceAttributeHandlers({ state }: { state: State }): AttributeHandlers {
  return {
    DescribeInstanceAttribute: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const attribute: string = required('Attribute', input.Attribute)
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
  }
}
