// DescribeInstanceTypes and DescribeInstanceTypeOfferings. Every rack offers every type; whether it
// has room is known when an instance is started.

import type { _InstanceType, InstanceTypeInfo, InstanceTypeOffering } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { endDryRun, isAsked } from './input.ts'
import { isBurstable } from './instance-settings.ts'
import { type InstanceTypeSpec, instanceType, instanceTypes } from './instance-types.ts'
import { pageOf } from './paging.ts'
import { zoneId, zoneName } from './zones.ts'

type TypeHandlers = Required<
  Pick<Ec2Handlers, 'DescribeInstanceTypes' | 'DescribeInstanceTypeOfferings'>
>

const MAX_TYPE_RESULTS = 100

const TYPE_FILTERS: Filterable<InstanceTypeInfo> = {
  fields: {
    ...absent(
      'ebs-info.attachment-limit-type',
      'ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps',
      'ebs-info.ebs-optimized-info.baseline-iops',
      'ebs-info.ebs-optimized-info.baseline-throughput-in-mbps',
      'ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps',
      'ebs-info.ebs-optimized-info.maximum-iops',
      'ebs-info.ebs-optimized-info.maximum-throughput-in-mbps',
      'ebs-info.maximum-ebs-attachments',
      'ebs-info.maximum-ebs-cards',
      'hypervisor',
      'instance-storage-info.disk.type',
      'network-info.bandwidth-weightings',
      'network-info.efa-info.maximum-efa-interfaces',
      'network-info.network-performance',
      'nitro-tpm-info.supported-versions',
      'processor-info.supported-features',
      'processor-info.sustained-clock-speed-in-ghz',
      'reboot-migration-support',
    ),
    'auto-recovery-supported': (type) => type.AutoRecoverySupported,
    'bare-metal': (type) => type.BareMetal,
    'burstable-performance-supported': (type) => type.BurstablePerformanceSupported,
    'current-generation': (type) => type.CurrentGeneration,
    'dedicated-hosts-supported': (type) => type.DedicatedHostsSupported,
    'ebs-info.ebs-optimized-support': (type) => type.EbsInfo?.EbsOptimizedSupport,
    'ebs-info.encryption-support': (type) => type.EbsInfo?.EncryptionSupport,
    'ebs-info.nvme-support': (type) => type.EbsInfo?.NvmeSupport,
    'free-tier-eligible': (type) => type.FreeTierEligible,
    'hibernation-supported': (type) => type.HibernationSupported,
    'instance-storage-info.disk.count': (type) =>
      type.InstanceStorageInfo?.Disks?.map((disk) => disk.Count),
    'instance-storage-info.disk.size-in-gb': (type) =>
      type.InstanceStorageInfo?.Disks?.map((disk) => disk.SizeInGB),
    'instance-storage-info.encryption-support': (type) =>
      type.InstanceStorageInfo?.EncryptionSupport,
    'instance-storage-info.nvme-support': (type) => type.InstanceStorageInfo?.NvmeSupport,
    'instance-storage-info.total-size-in-gb': (type) => type.InstanceStorageInfo?.TotalSizeInGB,
    'instance-storage-supported': (type) => type.InstanceStorageSupported,
    'instance-type': (type) => type.InstanceType,
    'memory-info.size-in-mib': (type) => type.MemoryInfo?.SizeInMiB,
    'network-info.efa-supported': (type) => type.NetworkInfo?.EfaSupported,
    'network-info.ena-support': (type) => type.NetworkInfo?.EnaSupport,
    'network-info.encryption-in-transit-supported': (type) =>
      type.NetworkInfo?.EncryptionInTransitSupported,
    'network-info.flexible-ena-queues-support': (type) =>
      type.NetworkInfo?.FlexibleEnaQueuesSupport,
    'network-info.maximum-network-cards': (type) => type.NetworkInfo?.MaximumNetworkCards,
    'network-info.ipv4-addresses-per-interface': (type) =>
      type.NetworkInfo?.Ipv4AddressesPerInterface,
    'network-info.ipv6-addresses-per-interface': (type) =>
      type.NetworkInfo?.Ipv6AddressesPerInterface,
    'network-info.ipv6-supported': (type) => type.NetworkInfo?.Ipv6Supported,
    'network-info.maximum-network-interfaces': (type) => type.NetworkInfo?.MaximumNetworkInterfaces,
    'nitro-enclaves-support': (type) => type.NitroEnclavesSupport,
    'nitro-tpm-support': (type) => type.NitroTpmSupport,
    'processor-info.supported-architecture': (type) => type.ProcessorInfo?.SupportedArchitectures,
    'supported-boot-mode': (type) => type.SupportedBootModes,
    'supported-root-device-type': (type) => type.SupportedRootDeviceTypes,
    'supported-usage-class': (type) => type.SupportedUsageClasses,
    'supported-virtualization-type': (type) => type.SupportedVirtualizationTypes,
    'vcpu-info.default-cores': (type) => type.VCpuInfo?.DefaultCores,
    'vcpu-info.default-threads-per-core': (type) => type.VCpuInfo?.DefaultThreadsPerCore,
    'vcpu-info.default-vcpus': (type) => type.VCpuInfo?.DefaultVCpus,
    'vcpu-info.valid-cores': (type) => type.VCpuInfo?.ValidCores,
    'vcpu-info.valid-threads-per-core': (type) => type.VCpuInfo?.ValidThreadsPerCore,
  },
}

const OFFERING_FILTERS: Filterable<InstanceTypeOffering> = {
  fields: {
    'instance-type': (offering) => offering.InstanceType,
    location: (offering) => offering.Location,
  },
}

export function instanceTypeHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): TypeHandlers {
  return {
    DescribeInstanceTypes: async (context, input) => {
      const view = await state.fresh()
      const unknown = (input.InstanceTypes ?? []).filter(
        (name) => instanceType(view, name) === null,
      )
      if (unknown.length > 0) {
        const text = `The following supplied instance types do not exist: [${unknown.join(', ')}]`
        throw new ApiError('InvalidInstanceType', text)
      }
      endDryRun(input)
      const named = instanceTypes(view).filter(({ name }) => isAsked(input.InstanceTypes, name))
      const found = matching(named.map(infoOf), input.Filters, TYPE_FILTERS)
      const action = 'DescribeInstanceTypes'
      const { items, nextToken } = pageOf(
        context,
        action,
        input,
        found,
        (type) => type.InstanceType ?? '',
        MAX_TYPE_RESULTS,
      )
      return { InstanceTypes: [...items], NextToken: nextToken }
    },

    DescribeInstanceTypeOfferings: async (context, input) => {
      const view = await state.fresh()
      const LocationType = input.LocationType ?? 'region'
      const locations = locationsOf(view, region, LocationType)
      endDryRun(input)
      const all = instanceTypes(view).flatMap(({ name }) =>
        locations.map((Location) => ({
          InstanceType: name as _InstanceType,
          LocationType,
          Location,
        })),
      )
      const found = matching<InstanceTypeOffering>(all, input.Filters, OFFERING_FILTERS)
      const { items, nextToken } = pageOf(
        context,
        'DescribeInstanceTypeOfferings',
        input,
        found,
        cursorOf,
      )
      return { InstanceTypeOfferings: [...items], NextToken: nextToken }
    },
  }
}

function cursorOf({ InstanceType, Location }: InstanceTypeOffering): string {
  return `${InstanceType ?? ''} ${Location ?? ''}`
}

function locationsOf(view: View, region: string, type: string): string[] {
  const racks = view.all('rack')
  switch (type) {
    case 'region':
      return [region]
    case 'availability-zone':
      return racks.map((rack) => zoneName(region, rack.name))
    case 'availability-zone-id':
      return racks.map((rack) => zoneId(region, rack))
    default:
      return []
  }
}

/** Only what is true: features that the real type of that name has and this cloud lacks say no. */
function infoOf(type: InstanceTypeSpec): InstanceTypeInfo {
  const { name, vcpus, memoryMib, diskGib, current } = type
  return {
    InstanceType: name as _InstanceType,
    CurrentGeneration: current,
    FreeTierEligible: false,
    SupportedUsageClasses: ['on-demand', 'spot'],
    SupportedRootDeviceTypes: ['instance-store'],
    SupportedVirtualizationTypes: ['hvm'],
    SupportedBootModes: ['legacy-bios'],
    BareMetal: false,
    ProcessorInfo: { SupportedArchitectures: ['x86_64'] },
    VCpuInfo: {
      DefaultVCpus: vcpus,
      DefaultCores: vcpus,
      DefaultThreadsPerCore: 1,
      ValidCores: [vcpus],
      ValidThreadsPerCore: [1],
    },
    MemoryInfo: { SizeInMiB: memoryMib },
    InstanceStorageSupported: true,
    InstanceStorageInfo: {
      TotalSizeInGB: diskGib,
      Disks: [{ SizeInGB: diskGib, Count: 1 }],
      NvmeSupport: 'unsupported',
      EncryptionSupport: 'unsupported',
    },
    EbsInfo: {
      EbsOptimizedSupport: 'unsupported',
      EncryptionSupport: 'unsupported',
      NvmeSupport: 'unsupported',
    },
    NetworkInfo: {
      MaximumNetworkInterfaces: type.interfaces,
      MaximumNetworkCards: 1,
      DefaultNetworkCardIndex: 0,
      Ipv4AddressesPerInterface: type.addresses,
      Ipv6AddressesPerInterface: type.addresses,
      Ipv6Supported: true,
      EnaSupport: 'unsupported',
      EfaSupported: false,
      EncryptionInTransitSupported: false,
      FlexibleEnaQueuesSupport: 'unsupported',
      NetworkCards: [{ NetworkCardIndex: 0, MaximumNetworkInterfaces: type.interfaces }],
    },
    PlacementGroupInfo: { SupportedStrategies: ['cluster', 'partition', 'spread'] },
    HibernationSupported: false,
    BurstablePerformanceSupported: isBurstable(type.name),
    DedicatedHostsSupported: false,
    AutoRecoverySupported: true,
    NitroEnclavesSupport: 'unsupported',
    NitroTpmSupport: 'unsupported',
  }
}
