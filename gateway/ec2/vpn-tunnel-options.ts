// What requests say of the tunnels of a VPN connection: EC2's names and ranges (EC2 API reference,
// VpnTunnelOptionsSpecification). What nobody would act on is refused.

import type { VpnTunnelOptionsSpecification } from '@aws-sdk/client-ec2'
import { covers, formatCidr, mustCidr, parseCidr } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { VpnTunnelOptions } from '../store/vpn-records.ts'
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  PHASE_1_DH_GROUPS,
  PHASE_2_DH_GROUPS,
} from '../vpn/proposals.ts'
import { badValue, refuseUnknown } from './input.ts'

export interface TunnelWish {
  /** The pre-shared key; null when the request leaves it as it is, or to chance. */
  readonly key: string | null
  /** A /30; null likewise. */
  readonly insideCidr: string | null
  readonly options: VpnTunnelOptions
}

/** What a tunnel has of which nothing is said. */
export const DEFAULT_OPTIONS: VpnTunnelOptions = {
  phase1EncryptionAlgorithms: [],
  phase1IntegrityAlgorithms: [],
  phase1DhGroupNumbers: [],
  phase1LifetimeSeconds: 28_800,
  phase2EncryptionAlgorithms: [],
  phase2IntegrityAlgorithms: [],
  phase2DhGroupNumbers: [],
  phase2LifetimeSeconds: 3_600,
  dpdTimeoutSeconds: 30,
  dpdTimeoutAction: 'clear',
  startupAction: 'add',
}

const KNOWN = new Set([
  ...['TunnelInsideCidr', 'PreSharedKey', 'IKEVersions', 'DPDTimeoutSeconds', 'DPDTimeoutAction'],
  ...['Phase1EncryptionAlgorithms', 'Phase1IntegrityAlgorithms', 'Phase1DHGroupNumbers'],
  ...['Phase2EncryptionAlgorithms', 'Phase2IntegrityAlgorithms', 'Phase2DHGroupNumbers'],
  ...['Phase1LifetimeSeconds', 'Phase2LifetimeSeconds', 'StartupAction'],
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['EnableTunnelLifecycleControl', [false]],
  ['LogOptions', [{ CloudWatchLogOptions: { LogEnabled: false } }]],
])
const KEY = /^[A-Za-z1-9._][A-Za-z0-9._]{7,63}$/
const INSIDE = mustCidr('169.254.0.0/16')
const RESERVED = [
  ...['169.254.0.0/30', '169.254.1.0/30', '169.254.2.0/30', '169.254.3.0/30', '169.254.4.0/30'],
  ...['169.254.5.0/30', '169.254.169.252/30'],
]
/** Where the services of every network answer; EC2 reserves the last block of it only. */
const SERVICES = mustCidr('169.254.169.0/24')
const PHASE_1_SECONDS: Range = [900, 28_800]
const PHASE_2_SECONDS: Range = [900, 3_600]
/** EC2 says no most. */
const DPD_SECONDS: Range = [30, 3_600]
/** EC2 has `none` too: strongSwan ends what is silent, whatever is done then. */
const DPD_ACTIONS = ['clear', 'restart'] as const
const STARTUP_ACTIONS = ['add', 'start'] as const
const IKE_VERSIONS = ['ikev1', 'ikev2']

type Range = readonly [least: number, most: number]

/**
 * `before` with what the request says. `path`: of the parameter, for errors. A WireGuard tunnel has
 * nothing but a key and a /30: for it, anything else than `before` is refused.
 */
export function parseTunnelOptions(
  asked: VpnTunnelOptionsSpecification,
  before: VpnTunnelOptions,
  { path, isWireguard }: { readonly path: string; readonly isWireguard: boolean },
): TunnelWish {
  refuseUnknown(asked, KNOWN, HARMLESS, path)
  const options = optionsOf(asked, before, path)
  if (isWireguard && JSON.stringify(options) !== JSON.stringify(before)) {
    const names = Object.keys(asked).filter((name) => !/^(?:PreSharedKey|TunnelInside)/.test(name))
    const text = `${path}${names.join(', ')}: the customer gateway is a WireGuard device, which has no IKE and no such options.`
    throw new ApiError('InvalidParameterCombination', text)
  }
  return {
    key: asked.PreSharedKey === undefined ? null : checkedKey(asked.PreSharedKey, path),
    insideCidr: insideOf(asked.TunnelInsideCidr, path),
    options,
  }
}

function optionsOf(
  asked: VpnTunnelOptionsSpecification,
  before: VpnTunnelOptions,
  path: string,
): VpnTunnelOptions {
  const at = (name: keyof VpnTunnelOptionsSpecification): string => `${path}${name}`
  const { Phase1EncryptionAlgorithms: ciphers1, Phase2EncryptionAlgorithms: ciphers2 } = asked
  const { Phase1IntegrityAlgorithms: hashes1, Phase2IntegrityAlgorithms: hashes2 } = asked
  const { Phase1DHGroupNumbers: groups1, Phase2DHGroupNumbers: groups2 } = asked
  const { Phase1LifetimeSeconds: life1, Phase2LifetimeSeconds: life2 } = asked
  const options: VpnTunnelOptions = {
    ...versionsOf(asked, before, path),
    phase1EncryptionAlgorithms:
      valuesIn(at('Phase1EncryptionAlgorithms'), ciphers1, ENCRYPTION_ALGORITHMS) ??
      before.phase1EncryptionAlgorithms,
    phase1IntegrityAlgorithms:
      valuesIn(at('Phase1IntegrityAlgorithms'), hashes1, INTEGRITY_ALGORITHMS) ??
      before.phase1IntegrityAlgorithms,
    phase1DhGroupNumbers:
      valuesIn(at('Phase1DHGroupNumbers'), groups1, PHASE_1_DH_GROUPS) ??
      before.phase1DhGroupNumbers,
    phase1LifetimeSeconds:
      inRange(at('Phase1LifetimeSeconds'), life1, PHASE_1_SECONDS) ?? before.phase1LifetimeSeconds,
    phase2EncryptionAlgorithms:
      valuesIn(at('Phase2EncryptionAlgorithms'), ciphers2, ENCRYPTION_ALGORITHMS) ??
      before.phase2EncryptionAlgorithms,
    phase2IntegrityAlgorithms:
      valuesIn(at('Phase2IntegrityAlgorithms'), hashes2, INTEGRITY_ALGORITHMS) ??
      before.phase2IntegrityAlgorithms,
    phase2DhGroupNumbers:
      valuesIn(at('Phase2DHGroupNumbers'), groups2, PHASE_2_DH_GROUPS) ??
      before.phase2DhGroupNumbers,
    phase2LifetimeSeconds:
      inRange(at('Phase2LifetimeSeconds'), life2, PHASE_2_SECONDS) ?? before.phase2LifetimeSeconds,
    dpdTimeoutSeconds:
      inRange(at('DPDTimeoutSeconds'), asked.DPDTimeoutSeconds, DPD_SECONDS) ??
      before.dpdTimeoutSeconds,
    dpdTimeoutAction:
      oneOf(at('DPDTimeoutAction'), asked.DPDTimeoutAction, DPD_ACTIONS) ?? before.dpdTimeoutAction,
    startupAction:
      oneOf(at('StartupAction'), asked.StartupAction, STARTUP_ACTIONS) ?? before.startupAction,
  }
  if (options.phase2LifetimeSeconds < options.phase1LifetimeSeconds) return options
  const why = `It must be less than Phase1LifetimeSeconds, ${options.phase1LifetimeSeconds}.`
  throw badValue(`${path}Phase2LifetimeSeconds`, options.phase2LifetimeSeconds, why)
}

function versionsOf(
  { IKEVersions: list }: VpnTunnelOptionsSpecification,
  { ikeVersions }: VpnTunnelOptions,
  path: string,
): Pick<VpnTunnelOptions, 'ikeVersions'> {
  const versions = valuesIn(`${path}IKEVersions`, list, IKE_VERSIONS)
  if (versions === undefined) return ikeVersions === undefined ? {} : { ikeVersions }
  if (versions.includes('ikev2')) return { ikeVersions: versions }
  const text = `${path}IKEVersions with ikev1 alone is not supported: tunnels speak ikev2.`
  throw new ApiError('UnsupportedOperation', text)
}

/** Once each, in the order of the request; undefined when nothing is asked. */
function valuesIn<T extends string | number>(
  name: string,
  list: readonly { readonly Value?: T | undefined }[] | undefined,
  all: readonly T[],
): readonly T[] | undefined {
  if (list === undefined || list.length === 0) return undefined
  const values = list.map(({ Value: value }) => {
    if (value !== undefined && all.includes(value)) return value
    throw badValue(name, value, `Expecting ${all.join(', ')}.`)
  })
  return [...new Set(values)]
}

function inRange(name: string, value: number | undefined, [least, most]: Range) {
  if (value === undefined) return undefined
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw badValue(name, value, `Expecting a value between ${least} and ${most}.`)
}

function oneOf<T extends string>(
  name: string,
  value: string | undefined,
  all: readonly T[],
): T | undefined {
  if (value === undefined) return undefined
  const found = all.find((one) => one === value)
  if (found !== undefined) return found
  throw badValue(name, value, `Expecting ${all.join(', ')}.`)
}

/** The key itself is in no message. */
function checkedKey(key: string, path: string): string {
  if (KEY.test(key)) return key
  const why =
    'Expecting 8 to 64 letters, digits, periods and underscores, of which the first is no zero.'
  throw new ApiError(
    'InvalidParameterValue',
    `Value for parameter ${path}PreSharedKey is invalid. ${why}`,
  )
}

function insideOf(text: string | undefined, path: string): string | null {
  if (text === undefined) return null
  const name = `${path}TunnelInsideCidr`
  const cidr = parseCidr(text)
  if (!cidr.ok || cidr.value.length !== 30 || !covers(INSIDE, cidr.value)) {
    throw badValue(name, text, 'Expecting a block of the size /30 in 169.254.0.0/16.')
  }
  const formatted = formatCidr(cidr.value)
  if (!RESERVED.includes(formatted) && !covers(SERVICES, cidr.value)) return formatted
  throw badValue(name, text, `The block is reserved, as are ${RESERVED.join(', ')}.`)
}
