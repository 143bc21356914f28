// The types of volumes: what sizes, IOPS and throughput they may have (EC2 API reference,
// CreateVolume; EBS user guide, "Amazon EBS volume types"), and what they are held to.

import { ApiError } from '../aws/api-error.ts'
import type { VolumeShape, VolumeType } from '../store/volume-records.ts'

/** What a request says of a volume; what it leaves out is up to its type. */
export interface VolumeWish {
  readonly type?: string | undefined
  /** Of the snapshot that it is made of, when the request does not say. */
  readonly sizeGib: number
  readonly iops?: number | undefined
  readonly throughputMibps?: number | undefined
  readonly multiAttach?: boolean | undefined
}

/** 0 is none. */
export interface VolumeLimits {
  readonly iops: number
  readonly throughputBytesPerS: number
}

interface Range {
  readonly min: number
  readonly max: number
}

interface TypeRules {
  readonly sizeGib: Range
  /** Of those that one chooses; absent of the other types. */
  readonly iops?: Range & { readonly perGib: number; readonly usual: number | null }
  readonly throughputMibps?: Range & { readonly perIops: number }
  readonly multiAttach?: true
}

/** CreateVolume and block device mappings without a type. */
export const DEFAULT_TYPE: VolumeType = 'gp2'
const MIB = 2 ** 20
const TIB_GIB = 1024

const RULES: Readonly<Record<VolumeType, TypeRules>> = {
  gp2: { sizeGib: { min: 1, max: 16_384 } },
  gp3: {
    sizeGib: { min: 1, max: 65_536 },
    iops: { min: 3_000, max: 80_000, perGib: 500, usual: 3_000 },
    throughputMibps: { min: 125, max: 2_000, perIops: 0.25 },
  },
  io1: {
    sizeGib: { min: 4, max: 16_384 },
    iops: { min: 100, max: 64_000, perGib: 50, usual: null },
    multiAttach: true,
  },
  io2: {
    sizeGib: { min: 4, max: 65_536 },
    iops: { min: 100, max: 256_000, perGib: 1_000, usual: null },
    multiAttach: true,
  },
  st1: { sizeGib: { min: 125, max: 16_384 } },
  sc1: { sizeGib: { min: 125, max: 16_384 } },
  standard: { sizeGib: { min: 1, max: 1_024 } },
}

/**
 * The volume that a request asks for. Throws UnknownVolumeType, InvalidParameterValue for what is
 * out of its range, InvalidParameterCombination for what its type does not have.
 */
export function shapeOf(wish: VolumeWish): VolumeShape {
  const type = parseType(wish.type ?? DEFAULT_TYPE)
  const rules = RULES[type]
  const { sizeGib, multiAttach = false } = wish
  checkSize(type, sizeGib)
  if (multiAttach && rules.multiAttach !== true) {
    throw combination(`The parameter MultiAttachEnabled is not supported for ${type} volumes.`)
  }
  const iops = iopsOf(type, sizeGib, wish.iops)
  const throughputMibps = throughputOf(type, iops, wish.throughputMibps)
  return { sizeGib, type, iops, throughputMibps, multiAttach }
}

/** Its IOPS and throughput when it is of `type`; of gp2 they follow its size. */
export function limitsOf({
  type,
  sizeGib,
  iops,
  throughputMibps,
}: Omit<VolumeShape, 'multiAttach'>): VolumeLimits {
  const limits = (most: number, mibps: number): VolumeLimits => ({
    iops: most,
    throughputBytesPerS: Math.floor(mibps * MIB),
  })
  const tib = sizeGib / TIB_GIB
  switch (type) {
    case 'gp2':
      // Credits are not counted: what a volume may burst to, it may always.
      return limits(Math.max(iops ?? 0, 3_000), sizeGib <= 170 ? 128 : 250)
    case 'gp3':
      return limits(iops ?? 3_000, throughputMibps ?? 125)
    case 'io1':
      return limits(iops ?? 100, Math.min(1_000, Math.max(500, (iops ?? 0) / 64)))
    case 'io2':
      return limits(iops ?? 100, Math.min(4_000, Math.max(125, (iops ?? 0) * 0.256)))
    case 'st1':
      return limits(500, Math.min(500, Math.max(40, 250 * tib)))
    case 'sc1':
      return limits(250, Math.min(250, Math.max(12, 80 * tib)))
    case 'standard':
      return limits(200, 90)
  }
}

function parseType(text: string): VolumeType {
  const type = (Object.keys(RULES) as VolumeType[]).find((one) => one === text)
  if (type !== undefined) return type
  const text64 = text.slice(0, 64)
  const known = Object.keys(RULES).join(', ')
  const message = `Unsupported volume type '${text64}' for volume creation. Use one of ${known}.`
  throw new ApiError('UnknownVolumeType', message)
}

function checkSize(type: VolumeType, sizeGib: number): void {
  const { min, max } = RULES[type].sizeGib
  if (!(Number.isInteger(sizeGib) && sizeGib >= min)) {
    throw bad(`Volume of ${sizeGib}GiB is too small for volume type ${type}; minimum is ${min}GiB.`)
  }
  if (sizeGib > max) {
    throw bad(`Volume of ${sizeGib}GiB is too large for volume type ${type}; maximum is ${max}GiB.`)
  }
}

function iopsOf(type: VolumeType, sizeGib: number, asked: number | undefined): number | null {
  const rule = RULES[type].iops
  if (rule === undefined) {
    if (asked !== undefined) {
      throw combination(`The parameter iops is not supported for ${type} volumes.`)
    }
    return type === 'gp2' ? Math.min(16_000, Math.max(100, 3 * sizeGib)) : null
  }
  const iops = asked ?? rule.usual
  if (iops === null) {
    throw combination(`The parameter iops must be specified for ${type} volumes.`)
  }
  if (!(Number.isInteger(iops) && iops >= rule.min)) {
    throw bad(`Volume iops of ${iops} is too low; minimum is ${rule.min}.`)
  }
  if (iops > rule.max) {
    throw bad(`Volume iops of ${iops} is too high; maximum is ${rule.max}.`)
  }
  // What every volume of the type has is not held to the ratio.
  if (iops > rule.min && iops > rule.perGib * sizeGib) {
    const ratio = (iops / sizeGib).toFixed(6)
    throw bad(`Iops to volume size ratio of ${ratio} is too high; maximum is ${rule.perGib}.`)
  }
  return iops
}

function throughputOf(
  type: VolumeType,
  iops: number | null,
  asked: number | undefined,
): number | null {
  const rule = RULES[type].throughputMibps
  if (rule === undefined) {
    if (asked === undefined) return null
    throw combination(`The parameter throughput is not supported for ${type} volumes.`)
  }
  const mibps = asked ?? rule.min
  if (!(Number.isInteger(mibps) && mibps >= rule.min)) {
    throw bad(`Throughput of ${mibps} MiB/s is too low; minimum is ${rule.min} MiB/s.`)
  }
  if (mibps > rule.max) {
    throw bad(`Throughput of ${mibps} MiB/s is too high; maximum is ${rule.max} MiB/s.`)
  }
  if (iops !== null && mibps > rule.perIops * iops) {
    const [ratio, most] = [mibps / iops, rule.perIops].map((one) => one.toFixed(6))
    const text = `Throughput (MiB/s) to iops ratio of ${ratio} is too high`
    throw bad(`${text}; maximum is ${most} MiB/s per iops.`)
  }
  return mibps
}

function bad(message: string): ApiError {
  return new ApiError('InvalidParameterValue', message)
}

function combination(message: string): ApiError {
  return new ApiError('InvalidParameterCombination', message)
}
