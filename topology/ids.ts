// Numbers that must not be mistaken for each other, and the parsers that mint them.

import {
  type Band,
  HOST_INDEXES,
  RACK_INDEXES,
  STORAGE_VLAN_TAG,
  VLAN_TAGS,
  VNIS,
} from './ranges.ts'
import { no, ok, type Result } from './result.ts'

export type Brand<T, Name extends string> = T & { readonly __brand: Name }

/**
 * 2..4094. 0 and 4095 are reserved by IEEE 802.1Q, 1 is most switches' default. The last one is for
 * storage, and no new network gets it.
 */
export type VlanTag = Brand<number, 'VlanTag'>
/** 4096..2^24-1 (RFC 7348, 5). */
export type Vni = Brand<number, 'Vni'>
/** 1..65535: the fourth group of the rack's fabric addresses. */
export type RackIndex = Brand<number, 'RackIndex'>
/** 1..4095: the last group of the host's fabric address. */
export type HostIndex = Brand<number, 'HostIndex'>

export function isVlanTag(n: number): n is VlanTag {
  return within({ ...VLAN_TAGS, last: STORAGE_VLAN_TAG }, n)
}

export function parseVlanTag(n: number): Result<VlanTag, 'BadVlanTag'> {
  return isVlanTag(n) ? ok(n) : no('BadVlanTag')
}

export function parseVni(n: number): Result<Vni, 'BadVni'> {
  return within(VNIS, n) ? ok(n as Vni) : no('BadVni')
}

export function parseRackIndex(n: number): Result<RackIndex, 'BadRackIndex'> {
  return within(RACK_INDEXES, n) ? ok(n as RackIndex) : no('BadRackIndex')
}

export function parseHostIndex(n: number): Result<HostIndex, 'BadHostIndex'> {
  return within(HOST_INDEXES, n) ? ok(n as HostIndex) : no('BadHostIndex')
}

function within({ first, last }: Band, n: number): boolean {
  return Number.isInteger(n) && n >= first && n <= last
}
