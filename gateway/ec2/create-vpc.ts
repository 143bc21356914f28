// CreateVpc, DeleteVpc, CreateDefaultVpc.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { VpcRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { namedInStore, newId } from './ids.ts'
import { endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { createDefaultVpc, ensureDefaultSubnets } from './networks.ts'
import { MAC_POOL } from './pools.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { CIDR_PARAMETERS, parseVpcCidrs, takeVpcCidr } from './vpc-cidrs.ts'
import { createVpcRecords, DEFAULT_GROUP, deleteVpcRecords } from './vpc-records.ts'
import { vpcOf } from './vpcs.ts'

export interface NetworkParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
}

type VpcHandlers = Required<Pick<Ec2Handlers, 'CreateVpc' | 'DeleteVpc' | 'CreateDefaultVpc'>>

const KNOWN = new Set<string>([
  ...CIDR_PARAMETERS,
  'TagSpecifications',
  'DryRun',
  'InstanceTenancy',
])
/** Dependents that a message names. */
const MAX_NAMED = 5

export function createVpcHandlers({ state, randomHex, region }: NetworkParts): VpcHandlers {
  return {
    CreateVpc: async ({ caller, nowMs }, input) => {
      checkInput(input, region)
      const wish = parseVpcCidrs(input)
      const ipv4 = required('CidrBlock', wish.ipv4 ?? undefined)
      const tags = parseTagSpecifications(input.TagSpecifications, ['vpc'])
      const { account } = caller
      const id = await state.update(async (tx) => {
        await checkQuota(tx, state, account, 'vpcs')
        const of = { id: await newId(tx, randomHex, 'vpc'), account }
        const ipv4Cidrs = [await takeVpcCidr(tx, state, of, ipv4)]
        const ipv6Cidrs = wish.ipv6 === null ? [] : [await takeVpcCidr(tx, state, of, wish.ipv6)]
        const made = { ...of, ipv4Cidrs, ipv6Cidrs, isDefault: false, nowMs }
        await createVpcRecords(tx, randomHex, made)
        await addTags(tx, { ...of, kind: 'vpc' }, tags.get('vpc') ?? new Map())
        endDryRun(input)
        return of.id
      })
      return { Vpc: shown(await state.fresh(), region, id) }
    },

    DeleteVpc: async ({ caller }, input) => {
      const id = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        const [vpc] = await namedInStore(tx, 'vpc', [id], caller.account)
        if (vpc === undefined) throw new RangeError(`${id} was found and is not there`)
        // Whoever adds to a VPC writes it (holdVpc), and every interface takes a MAC: after this
        // the mirror shows all that is in it.
        await tx.pool(MAC_POOL).watch()
        checkEmpty(await state.fresh(), vpc)
        endDryRun(input)
        await deleteVpcRecords(tx, state, vpc)
      })
      return {}
    },

    CreateDefaultVpc: async ({ caller, nowMs }, input) => {
      const { account } = caller
      const options = { nowMs, randomHex }
      const id = await state.update(async (tx) => {
        const before = await tx.get('name', 'default-vpc', account)
        if (before !== null && (await tx.get('vpc', before.holder)) !== null) {
          const text = `A Default VPC already exists for this account: ${before.holder}.`
          throw new ApiError('DefaultVpcAlreadyExists', text)
        }
        await checkQuota(tx, state, account, 'vpcs')
        const vpc = await createDefaultVpc(tx, state, account, options).catch(asApiError)
        endDryRun(input)
        return vpc.id
      })
      await ensureDefaultSubnets(state, options)
      return { Vpc: shown(await state.fresh(), region, id) }
    },
  }
}

function checkInput(input: Ec2Inputs['CreateVpc'], region: string): void {
  const { InstanceTenancy: tenancy = 'default' } = input
  if (tenancy !== 'default') throw unsupported(`The instance tenancy ${tenancy}`)
  refuseUnknown(input, KNOWN, new Map([['Ipv6CidrBlockNetworkBorderGroup', [region]]]))
}

/** Throws DependencyViolation that names what is in the VPC. */
function checkEmpty(view: View, vpc: VpcRecord): void {
  const inside = dependents(view, vpc)
  if (inside.length === 0) return
  const more = inside.length - MAX_NAMED
  const names = `${inside.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  const text = `The vpc '${vpc.id}' has dependencies and cannot be deleted: ${names}.`
  throw new ApiError('DependencyViolation', text)
}

function dependents(view: View, { id, mainRouteTable, defaultAcl }: VpcRecord): string[] {
  const gone = new Set(['deleted', 'failed'])
  const over = new Set(['rejected', 'failed', 'expired', 'deleted'])
  return [
    ...view.by('subnet', 'vpc', id),
    ...view.by('interface', 'vpc', id),
    ...view.by('internet-gateway', 'vpc', id),
    ...view.by('egress-only-gateway', 'vpc', id),
    ...view.by('vpn-gateway', 'vpc', id),
    ...view.by('nat-gateway', 'vpc', id).filter((one) => !gone.has(one.state)),
    ...view.by('security-group', 'vpc', id).filter((one) => one.name !== DEFAULT_GROUP),
    ...view.by('route-table', 'vpc', id).filter((one) => one.id !== mainRouteTable),
    ...view.by('network-acl', 'vpc', id).filter((one) => one.id !== defaultAcl),
    ...view
      .all('peering')
      .filter(({ requester, accepter }) => requester.vpc === id || accepter.vpc === id)
      .filter((one) => !over.has(one.state)),
  ].map((one) => one.id)
}

function shown(view: View, region: string, id: string): ReturnType<typeof vpcOf> | undefined {
  const vpc = view.get('vpc', id)
  return vpc === null ? undefined : vpcOf(view, region, vpc)
}

function asApiError(error: unknown): never {
  if (!(error instanceof MalleeError) || error.code !== 'Conflict') throw error
  throw new ApiError('InsufficientCidrBlocks', error.message)
}
