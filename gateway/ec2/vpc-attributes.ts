// DescribeVpcAttribute, ModifyVpcAttribute, ModifyVpcTenancy.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { VpcRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { namedInStore, namedInView } from './ids.ts'
import { badValue, endDryRun, required, unsupported } from './input.ts'

type AttributeHandlers = Required<
  Pick<Ec2Handlers, 'DescribeVpcAttribute' | 'ModifyVpcAttribute' | 'ModifyVpcTenancy'>
>

export function vpcAttributeHandlers({ state }: { state: State }): AttributeHandlers {
  return {
    DescribeVpcAttribute: async ({ caller }, input) => {
      const id = required('VpcId', input.VpcId)
      const name: string = required('Attribute', input.Attribute)
      const [vpc] = namedInView(await state.fresh(), 'vpc', [id], caller.account)
      const shown = vpc === undefined ? null : attributeOf(vpc, name)
      if (shown === null) throw badValue('attribute', name, 'A VPC has no such attribute.')
      endDryRun(input)
      return { VpcId: id, ...shown }
    },

    ModifyVpcAttribute: async ({ caller }, input) => {
      const id = required('VpcId', input.VpcId)
      if (input.EnableNetworkAddressUsageMetrics?.Value === true) {
        throw unsupported('The attribute enableNetworkAddressUsageMetrics')
      }
      const wanted = [
        input.EnableDnsHostnames,
        input.EnableDnsSupport,
        input.EnableNetworkAddressUsageMetrics,
      ].filter((one) => one !== undefined)
      if (wanted.length !== 1) throw oneAttribute(wanted.length)
      await state.update(async (tx) => {
        const [vpc] = await namedInStore(tx, 'vpc', [id], caller.account)
        if (vpc === undefined) throw new RangeError(`${id} was found and is not there`)
        await tx.put('vpc', [id], {
          ...vpc,
          enableDnsHostnames: input.EnableDnsHostnames?.Value ?? vpc.enableDnsHostnames,
          enableDnsSupport: input.EnableDnsSupport?.Value ?? vpc.enableDnsSupport,
        })
      })
      return {}
    },

    ModifyVpcTenancy: async ({ caller }, input) => {
      const id = required('VpcId', input.VpcId)
      const tenancy: string = required('InstanceTenancy', input.InstanceTenancy)
      // Every VPC of this cloud has it.
      if (tenancy !== 'default') throw badValue('instanceTenancy', tenancy, 'Expecting default.')
      namedInView(await state.fresh(), 'vpc', [id], caller.account)
      endDryRun(input)
      return { ReturnValue: true }
    },
  }
}

/** EC2 changes one attribute in a request. */
export function oneAttribute(count: number): ApiError {
  const text =
    count === 0 ? 'No attributes specified.' : 'Fields for multiple attribute types specified'
  return new ApiError(count === 0 ? 'MissingParameter' : 'InvalidParameterCombination', text)
}

function attributeOf(vpc: VpcRecord, name: string): object | null {
  switch (name) {
    case 'enableDnsSupport':
      return { EnableDnsSupport: { Value: vpc.enableDnsSupport } }
    case 'enableDnsHostnames':
      return { EnableDnsHostnames: { Value: vpc.enableDnsHostnames } }
    case 'enableNetworkAddressUsageMetrics':
      return { EnableNetworkAddressUsageMetrics: { Value: false } }
    default:
      return null
  }
}
