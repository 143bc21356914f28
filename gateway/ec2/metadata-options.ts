// What instances' metadata service does: options of a launch, of an instance, and an account's own
// defaults (EC2 user guide, "Configure instance metadata options").

import type { InstanceMetadataOptionsResponse } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InstanceRecord, MetadataOptions } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { namedInStore, notFound } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'

type MetadataHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'ModifyInstanceMetadataOptions'
    | 'ModifyInstanceMetadataDefaults'
    | 'GetInstanceMetadataDefaults'
  >
>

interface OptionParameters {
  readonly HttpTokens?: string | undefined
  readonly HttpPutResponseHopLimit?: number | undefined
  readonly HttpEndpoint?: string | undefined
  readonly HttpProtocolIpv6?: string | undefined
  readonly InstanceMetadataTags?: string | undefined
}

type Options = Partial<MetadataOptions>

/** What instances get that ask for nothing. */
const CLOUD_DEFAULTS: MetadataOptions = {
  httpEndpoint: true,
  httpProtocolIpv6: false,
  httpTokens: 'required',
  hopLimit: 2,
  instanceTags: false,
}
const MAX_HOP_LIMIT = 64
/** The values with which an account takes a default of its own back. */
const NO_PREFERENCE = 'no-preference'
const NO_HOP_LIMIT = -1
const OPTIONS = [
  'HttpTokens',
  'HttpPutResponseHopLimit',
  'HttpEndpoint',
  'HttpProtocolIpv6',
  'InstanceMetadataTags',
]
const KNOWN = new Set([...OPTIONS, 'InstanceId', 'DryRun'])
const DEFAULTS_KNOWN = new Set([...OPTIONS, 'DryRun'].filter((name) => name !== 'HttpProtocolIpv6'))
const DEFAULTS_HARMLESS = new Map<string, readonly unknown[]>([
  ['HttpTokensEnforced', ['disabled', NO_PREFERENCE]],
])

export function metadataHandlers({ state }: { state: State }): MetadataHandlers {
  return {
    ModifyInstanceMetadataOptions: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, KNOWN, new Map())
      const options = parseOptions(input)
      const changed = await state.update(async (tx) => {
        const [instance] = await namedInStore(tx, 'instance', [id], caller.account)
        if (instance === undefined) throw notFound('instance', [id])
        endDryRun(input)
        const metadataOptions = { ...instance.metadataOptions, ...options }
        await tx.put('instance', [id], { ...instance, metadataOptions })
        return metadataOptions
      })
      const InstanceMetadataOptions = optionsShape(changed, 'pending')
      return { InstanceId: id, InstanceMetadataOptions }
    },

    ModifyInstanceMetadataDefaults: async ({ caller }, input) => {
      refuseUnknown(input, DEFAULTS_KNOWN, DEFAULTS_HARMLESS)
      const goes = withoutPreference(input)
      const options = parseOptions(input, true)
      await state.update(async (tx) => {
        const account = await tx.get('account', caller.account)
        if (account === null) throw new RangeError(`there is no account ${caller.account}`)
        endDryRun(input)
        const kept = Object.entries({ ...account.metadataDefaults, ...options }).filter(
          ([name]) => !goes.has(name),
        )
        const metadataDefaults: Options = Object.fromEntries(kept)
        await tx.put('account', [account.id], { ...account, metadataDefaults })
      })
      return { Return: true }
    },

    GetInstanceMetadataDefaults: async ({ caller }, input) => {
      const view = await state.fresh()
      endDryRun(input)
      const defaults = view.get('account', caller.account)?.metadataDefaults ?? {}
      const { httpEndpoint, httpTokens, hopLimit, instanceTags } = defaults
      return {
        AccountLevel: {
          HttpTokens: httpTokens,
          HttpPutResponseHopLimit: hopLimit,
          HttpEndpoint: httpEndpoint === undefined ? undefined : enabled(httpEndpoint),
          InstanceMetadataTags: instanceTags === undefined ? undefined : enabled(instanceTags),
          ManagedBy: 'account',
        },
      }
    },
  }
}

/** What a request says. Throws InvalidParameterValue. */
export function parseOptions(input: OptionParameters, mayTakeBack = false): Options {
  const hopLimit = input.HttpPutResponseHopLimit
  const takesBack = mayTakeBack && hopLimit === NO_HOP_LIMIT
  if (hopLimit !== undefined && !takesBack && !isHopLimit(hopLimit)) {
    const why = `Expecting a number between 1 and ${MAX_HOP_LIMIT}.`
    throw badValue('HttpPutResponseHopLimit', hopLimit, why)
  }
  const word = (name: keyof OptionParameters, words: readonly string[]): string | undefined => {
    const value = input[name]
    if (value === undefined || words.includes(String(value))) return value as string | undefined
    if (mayTakeBack && value === NO_PREFERENCE) return undefined
    throw badValue(name, value, `Expecting ${words.join(' or ')}.`)
  }
  const flag = (name: keyof OptionParameters): boolean | undefined => {
    const value = word(name, ['enabled', 'disabled'])
    return value === undefined ? undefined : value === 'enabled'
  }
  const options = {
    httpEndpoint: flag('HttpEndpoint'),
    httpProtocolIpv6: flag('HttpProtocolIpv6'),
    httpTokens: word('HttpTokens', ['optional', 'required']),
    hopLimit: takesBack ? undefined : hopLimit,
    instanceTags: flag('InstanceMetadataTags'),
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

/** The options of a launch: its own, else the account's, else the cloud's. */
export function launchOptions(ofAccount: Options | undefined, asked: Options): MetadataOptions {
  return { ...CLOUD_DEFAULTS, ...ofAccount, ...asked }
}

export function metadataOptionsOf(record: InstanceRecord): InstanceMetadataOptionsResponse {
  return optionsShape(record.metadataOptions, record.state === 'pending' ? 'pending' : 'applied')
}

export function optionsShape(
  { httpEndpoint, httpProtocolIpv6, httpTokens, hopLimit, instanceTags }: MetadataOptions,
  State: 'applied' | 'pending',
): InstanceMetadataOptionsResponse {
  return {
    State,
    HttpTokens: httpTokens,
    HttpPutResponseHopLimit: hopLimit,
    HttpEndpoint: enabled(httpEndpoint),
    HttpProtocolIpv6: enabled(httpProtocolIpv6),
    InstanceMetadataTags: enabled(instanceTags),
  }
}

/** The names of what an account has no default for any more. */
function withoutPreference(input: OptionParameters): ReadonlySet<string> {
  const goes = new Set<keyof MetadataOptions>()
  if (input.HttpTokens === NO_PREFERENCE) goes.add('httpTokens')
  if (input.HttpEndpoint === NO_PREFERENCE) goes.add('httpEndpoint')
  if (input.InstanceMetadataTags === NO_PREFERENCE) goes.add('instanceTags')
  if (input.HttpPutResponseHopLimit === NO_HOP_LIMIT) goes.add('hopLimit')
  return goes
}

function isHopLimit(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= MAX_HOP_LIMIT
}

function enabled(is: boolean): 'enabled' | 'disabled' {
  return is ? 'enabled' : 'disabled'
}
