// DescribeIpams, DescribeIpamScopes, DescribeIpamPools, GetIpamPoolCidrs, GetIpamPoolAllocations:
// the cloud's pools as they are. They are the operator's, and nobody changes them here.

import type {
  Ipam,
  IpamPool,
  IpamPoolAllocation,
  IpamPoolCidr,
  IpamScope,
} from '@aws-sdk/client-ec2'
import { covers, formatCidr, mustCidr } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers } from '../aws/handlers.ts'
import type { CloudRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { derivedId } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { type IpamPoolInfo, ipamId, ipamPools, ipamScopeId } from './ipam-pools.ts'
import { pageOf } from './paging.ts'

type IpamHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeIpams'
    | 'DescribeIpamScopes'
    | 'DescribeIpamPools'
    | 'GetIpamPoolCidrs'
    | 'GetIpamPoolAllocations'
  >
>

/** Whose the pools are: the cloud's, which is no account. */
const OWNER = '000000000000'

const IPAM_FILTERS: Filterable<Ipam> = {
  fields: {
    ...absent('description'),
    'ipam-id': (one) => one.IpamId,
    'ipam-region': (one) => one.IpamRegion,
    'owner-id': (one) => one.OwnerId,
    state: (one) => one.State,
  },
  tags: (one) => one.Tags,
}

const SCOPE_FILTERS: Filterable<IpamScope> = {
  fields: {
    'ipam-scope-id': (one) => one.IpamScopeId,
    'ipam-scope-type': (one) => one.IpamScopeType,
    'is-default': (one) => one.IsDefault,
    'owner-id': (one) => one.OwnerId,
    state: (one) => one.State,
  },
  tags: (one) => one.Tags,
}

const POOL_FILTERS: Filterable<IpamPool> = {
  fields: {
    ...absent('source-ipam-pool-id'),
    'address-family': (one) => one.AddressFamily,
    description: (one) => one.Description,
    'ipam-pool-id': (one) => one.IpamPoolId,
    'ipam-scope-type': (one) => one.IpamScopeType,
    locale: (one) => one.Locale,
    'owner-id': (one) => one.OwnerId,
    state: (one) => one.State,
  },
  tags: (one) => one.Tags,
}

const CIDR_FILTERS: Filterable<IpamPoolCidr> = {
  fields: { cidr: (one) => one.Cidr, state: (one) => one.State },
}

const ALLOCATION_FILTERS: Filterable<IpamPoolAllocation> = {
  fields: {
    cidr: (one) => one.Cidr,
    'ipam-pool-allocation-id': (one) => one.IpamPoolAllocationId,
    'resource-id': (one) => one.ResourceId,
    'resource-owner': (one) => one.ResourceOwner,
    'resource-region': (one) => one.ResourceRegion,
    'resource-type': (one) => one.ResourceType,
  },
}

export function ipamHandlers({ state, region }: { state: State; region: string }): IpamHandlers {
  return {
    DescribeIpams: async (context, input) => {
      const view = await state.fresh()
      const all = [ipamOf(view, region)]
      checkIds('ipam ID', 'InvalidIpamId.NotFound', input.IpamIds, idsOf(all, 'IpamId'))
      endDryRun(input)
      const asked = named(all, input.IpamIds, (one) => one.IpamId)
      const found = matching(asked, input.Filters, IPAM_FILTERS)
      const cursor = (one: Ipam): string => one.IpamId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeIpams', input, found, cursor)
      return { Ipams: [...items], NextToken: nextToken }
    },

    DescribeIpamScopes: async (context, input) => {
      const view = await state.fresh()
      const all = [false, true].map((isPublic) => scopeOf(view, region, isPublic))
      const code = 'InvalidIpamScopeId.NotFound'
      checkIds('ipam scope ID', code, input.IpamScopeIds, idsOf(all, 'IpamScopeId'))
      endDryRun(input)
      const asked = named(all, input.IpamScopeIds, (one) => one.IpamScopeId)
      const found = matching(asked, input.Filters, SCOPE_FILTERS)
      const cursor = (one: IpamScope): string => one.IpamScopeId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeIpamScopes', input, found, cursor)
      return { IpamScopes: [...items], NextToken: nextToken }
    },

    DescribeIpamPools: async (context, input) => {
      const view = await state.fresh()
      const all = ipamPools(view).map((pool) => poolOf(view, region, pool))
      const code = 'InvalidIpamPoolId.NotFound'
      checkIds('ipam pool ID', code, input.IpamPoolIds, idsOf(all, 'IpamPoolId'))
      endDryRun(input)
      const asked = named(all, input.IpamPoolIds, (one) => one.IpamPoolId)
      const found = matching(asked, input.Filters, POOL_FILTERS)
      const cursor = (one: IpamPool): string => one.IpamPoolId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeIpamPools', input, found, cursor)
      return { IpamPools: [...items], NextToken: nextToken }
    },

    GetIpamPoolCidrs: async (context, input) => {
      const pool = namedPool(await state.fresh(), input.IpamPoolId)
      endDryRun(input)
      const cidrs = pool.cidrs.map((cidr) => ({
        Cidr: formatCidr(cidr),
        State: 'provisioned' as const,
        IpamPoolCidrId: derivedId('ipam-pool-cidr', pool.id, formatCidr(cidr)),
        NetmaskLength: cidr.length,
      }))
      const found = matching<IpamPoolCidr>(cidrs, input.Filters, CIDR_FILTERS)
      const cursor = (one: IpamPoolCidr): string => one.Cidr ?? ''
      const { items, nextToken } = pageOf(context, 'GetIpamPoolCidrs', input, found, cursor)
      return { IpamPoolCidrs: [...items], NextToken: nextToken }
    },

    GetIpamPoolAllocations: async (context, input) => {
      const view = await state.fresh()
      const pool = namedPool(view, input.IpamPoolId)
      const all = allocationsOf(view, region, pool, context)
      const wanted = input.IpamPoolAllocationId
      const asked = all.filter((one) => !wanted || one.IpamPoolAllocationId === wanted)
      if (wanted && asked.length === 0) {
        const text = `The allocation '${wanted}' does not exist in the pool '${pool.id}'`
        throw new ApiError('InvalidIpamPoolAllocationId.NotFound', text)
      }
      endDryRun(input)
      const found = matching(asked, input.Filters, ALLOCATION_FILTERS)
      const cursor = (one: IpamPoolAllocation): string => one.IpamPoolAllocationId ?? ''
      const { items, nextToken } = pageOf(context, 'GetIpamPoolAllocations', input, found, cursor)
      return { IpamPoolAllocations: [...items], NextToken: nextToken }
    },
  }
}

function ipamOf(view: View, region: string): Ipam {
  const cloud = cloudIn(view)
  return {
    OwnerId: OWNER,
    IpamId: ipamId(cloud),
    IpamArn: arn(`ipam/${ipamId(cloud)}`),
    IpamRegion: region,
    PublicDefaultScopeId: ipamScopeId(cloud, true),
    PrivateDefaultScopeId: ipamScopeId(cloud, false),
    ScopeCount: 2,
    Description: `The pools of the cloud ${cloud.name}`,
    OperatingRegions: [{ RegionName: region }],
    State: 'create-complete',
    Tags: [],
  }
}

function scopeOf(view: View, region: string, isPublic: boolean): IpamScope {
  const cloud = cloudIn(view)
  const id = ipamScopeId(cloud, isPublic)
  return {
    OwnerId: OWNER,
    IpamScopeId: id,
    IpamScopeArn: arn(`ipam-scope/${id}`),
    IpamArn: arn(`ipam/${ipamId(cloud)}`),
    IpamRegion: region,
    IpamScopeType: isPublic ? 'public' : 'private',
    IsDefault: true,
    PoolCount: ipamPools(view).filter((pool) => pool.isPublic === isPublic).length,
    State: 'create-complete',
    Tags: [],
  }
}

function poolOf(view: View, region: string, pool: IpamPoolInfo): IpamPool {
  const cloud = cloudIn(view)
  return {
    OwnerId: OWNER,
    IpamPoolId: pool.id,
    IpamPoolArn: arn(`ipam-pool/${pool.id}`),
    IpamScopeArn: arn(`ipam-scope/${ipamScopeId(cloud, pool.isPublic)}`),
    IpamScopeType: pool.isPublic ? 'public' : 'private',
    IpamArn: arn(`ipam/${ipamId(cloud)}`),
    IpamRegion: region,
    Locale: region,
    PoolDepth: 1,
    State: 'create-complete',
    Description: pool.description,
    AutoImport: false,
    AddressFamily: pool.family === 4 ? 'ipv4' : 'ipv6',
    AllocationMinNetmaskLength: pool.shortest,
    AllocationMaxNetmaskLength: pool.longest,
    AllocationDefaultNetmaskLength: pool.usual,
    AllocationResourceTags: [],
    Tags: [],
  }
}

/** What the caller has of the pool: others' VPCs and addresses are nobody else's to see. */
function allocationsOf(
  view: View,
  region: string,
  pool: IpamPoolInfo,
  { caller: { account } }: CallContext,
): IpamPoolAllocation[] {
  const isIn = (cidr: string): boolean => pool.cidrs.some((one) => covers(one, mustCidr(cidr)))
  const held = pool.isPublic
    ? view.by('address', 'account', account).map(({ id, publicIp }) => ({
        id,
        cidr: `${publicIp}/${publicIp.includes(':') ? 128 : 32}`,
      }))
    : view
        .by('vpc', 'account', account)
        .flatMap(({ id, ipv4Cidrs, ipv6Cidrs }) =>
          [...ipv4Cidrs, ...ipv6Cidrs].map((cidr) => ({ id, cidr })),
        )
  return held
    .filter(({ cidr }) => isIn(cidr))
    .map(({ id, cidr }) => ({
      Cidr: cidr,
      IpamPoolAllocationId: derivedId('ipam-pool-alloc', pool.id, id, cidr),
      ResourceId: id,
      ResourceType: pool.isPublic ? 'eip' : 'vpc',
      ResourceRegion: region,
      ResourceOwner: account,
    }))
}

function namedPool(view: View, id: string | undefined): IpamPoolInfo {
  const wanted = required('IpamPoolId', id)
  const pool = ipamPools(view).find((one) => one.id === wanted)
  if (pool !== undefined) return pool
  throw new ApiError('InvalidIpamPoolId.NotFound', `The ipam pool ID '${wanted}' does not exist`)
}

function cloudIn(view: View): CloudRecord {
  const cloud = view.get('cloud', 'self')
  if (cloud === null) throw new RangeError('there is no cloud in the store')
  return cloud
}

function arn(resource: string): string {
  return `arn:aws:ec2::${OWNER}:${resource}`
}

function idsOf<T>(all: readonly T[], field: keyof T): readonly unknown[] {
  return all.map((one) => one[field])
}

function checkIds(
  words: string,
  code: string,
  asked: readonly string[] | undefined,
  there: readonly unknown[],
): void {
  const unknown = (asked ?? []).find((id) => !there.includes(id))
  if (unknown !== undefined) throw new ApiError(code, `The ${words} '${unknown}' does not exist`)
}

function named<T>(
  all: readonly T[],
  ids: readonly string[] | undefined,
  idOf: (one: T) => string | undefined,
): readonly T[] {
  return ids === undefined || ids.length === 0
    ? all
    : all.filter((one) => ids.includes(idOf(one) ?? ''))
}
