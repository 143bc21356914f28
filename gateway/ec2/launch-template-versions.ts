// CreateLaunchTemplateVersion, DescribeLaunchTemplateVersions and DeleteLaunchTemplateVersions.

import type {
  DeleteLaunchTemplateVersionsResponseErrorItem,
  LaunchTemplateVersion,
  RequestLaunchTemplateData,
  ValidationWarning,
} from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { LaunchTemplateRecord, LaunchTemplateVersionRecord } from '../store/compute-records.ts'
import type { State, View } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { checkTemplateData, mergedRun, shownData } from './launch-template-data.ts'
import {
  latestVersion,
  templateInStore,
  templateInView,
  unknownVersion,
  versionInView,
  versionNumber,
} from './launch-template-names.ts'
import { pageOf } from './paging.ts'
import { parseRun } from './run-request.ts'

type VersionHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateLaunchTemplateVersion'
    | 'DeleteLaunchTemplateVersions'
    | 'DescribeLaunchTemplateVersions'
  >
>
type Described = Ec2Inputs['DescribeLaunchTemplateVersions']

/** EC2's quota of a template. */
const MAX_VERSIONS = 10_000
/** EC2 API reference, DeleteLaunchTemplateVersions. */
const MAX_DELETED = 200
const MAX_RESULTS = 200
const MAX_DESCRIPTION_CHARS = 255
const CREATE_KNOWN = new Set([
  'LaunchTemplateId',
  'LaunchTemplateName',
  'LaunchTemplateData',
  'SourceVersion',
  'VersionDescription',
  'ClientToken',
  'DryRun',
  // There are no aliases of images to resolve.
  'ResolveAlias',
])
const NOTHING = new Map<string, readonly unknown[]>()
/** A form that every image's id has, for templates that leave the image to the launch. */
const ANY_IMAGE = 'ami-00000000'

const FILTERABLE: Filterable<LaunchTemplateVersion> = {
  fields: {
    ...absent('license-configuration-arn', 'operator.managed', 'operator.principal'),
    'create-time': (one) => one.CreateTime?.toISOString(),
    'ebs-optimized': (one) => one.LaunchTemplateData?.EbsOptimized,
    'http-endpoint': (one) => one.LaunchTemplateData?.MetadataOptions?.HttpEndpoint,
    'http-protocol-ipv4': (one) => one.LaunchTemplateData?.MetadataOptions?.HttpEndpoint,
    'http-tokens': (one) => one.LaunchTemplateData?.MetadataOptions?.HttpTokens,
    'iam-instance-profile': (one) => one.LaunchTemplateData?.IamInstanceProfile?.Arn,
    'image-id': (one) => one.LaunchTemplateData?.ImageId,
    'instance-type': (one) => one.LaunchTemplateData?.InstanceType,
    'is-default-version': (one) => one.DefaultVersion,
    'kernel-id': (one) => one.LaunchTemplateData?.KernelId,
    'network-card-index': (one) =>
      one.LaunchTemplateData?.NetworkInterfaces?.map((card) => card.NetworkCardIndex),
    'ram-disk-id': (one) => one.LaunchTemplateData?.RamDiskId,
  },
}

export function launchTemplateVersionHandlers({ state }: { state: State }): VersionHandlers {
  return {
    CreateLaunchTemplateVersion: async (context, input) => {
      const { caller, nowMs } = context
      const { account } = caller
      const added = required('LaunchTemplateData', input.LaunchTemplateData)
      refuseUnknown(input, CREATE_KNOWN, NOTHING)
      const description = parseVersionDescription(input.VersionDescription)
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CreateLaunchTemplateVersion', token }
      const view = await state.fresh()
      const source = input.SourceVersion
      const base =
        source === undefined
          ? {}
          : versionInView(view, templateInView(view, account, input), source).data
      const data: RequestLaunchTemplateData = { ...base, ...added }
      checkTemplateData(data)
      const made = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const template = await templateInStore(tx, account, input)
        checkCount(template)
        endDryRun(input)
        const version = template.lastVersion + 1
        const by = { createdBy: caller.userArn, createdAtMs: nowMs }
        const record = { template: template.id, account, version, description, ...by, data }
        await tx.put('launch-template-version', [template.id, String(version)], record)
        const versions = [...template.versions, version]
        await tx.put('launch-template', [template.id], {
          ...template,
          versions,
          lastVersion: version,
        })
        await keepAnswer(tx, use, `${template.id}/${version}`)
        return `${template.id}/${version}`
      })
      const now = await state.fresh()
      const [id = '', number = ''] = made.split('/')
      const template = templateInView(now, account, { LaunchTemplateId: id })
      const shown = versionOf(template, versionInView(now, template, number))
      return { LaunchTemplateVersion: shown, Warning: warningOf(now, data) }
    },

    DescribeLaunchTemplateVersions: async (context, input) => {
      const view = await state.fresh()
      const versions = askedFor(view, context.caller.account, input)
      endDryRun(input)
      const found = matching(versions, input.Filters, FILTERABLE)
      const { items, nextToken } = pageOf(
        context,
        'DescribeLaunchTemplateVersions',
        input,
        found,
        cursorOf,
        MAX_RESULTS,
        1,
      )
      return { LaunchTemplateVersions: [...items], NextToken: nextToken }
    },

    DeleteLaunchTemplateVersions: async ({ caller: { account } }, input) => {
      const asked = required('LaunchTemplateVersion', input.Versions)
      if (asked.length > MAX_DELETED) {
        const why = `A request deletes ${MAX_DELETED} versions at most; this names ${asked.length}.`
        throw badValue('LaunchTemplateVersion', asked[0], why)
      }
      const { template, gone, kept } = await state.update(async (tx) => {
        const found = await templateInStore(tx, account, input)
        const numbers = [...new Set(asked.map((text) => versionNumber(found, text)))]
        const refused = numbers.flatMap((number) => refusalOf(found, number))
        const goes = numbers.filter(
          (number) => !refused.some(({ VersionNumber }) => VersionNumber === number),
        )
        endDryRun(input)
        for (const number of goes) {
          await tx.delete('launch-template-version', found.id, String(number))
        }
        const versions = found.versions.filter((number) => !goes.includes(number))
        await tx.put('launch-template', [found.id], { ...found, versions })
        return { template: found, gone: goes, kept: refused }
      })
      const { id, name } = template
      return {
        SuccessfullyDeletedLaunchTemplateVersions: gone.map((VersionNumber) => ({
          LaunchTemplateId: id,
          LaunchTemplateName: name,
          VersionNumber,
        })),
        UnsuccessfullyDeletedLaunchTemplateVersions: kept,
      }
    },
  }
}

export function parseVersionDescription(text = ''): string {
  if ([...text].length <= MAX_DESCRIPTION_CHARS) return text
  const why = `A description has ${MAX_DESCRIPTION_CHARS} characters at most.`
  throw badValue('VersionDescription', text.slice(0, MAX_DESCRIPTION_CHARS), why)
}

/** What a launch by these parameters alone would be refused with for their form. */
export function warningOf(
  view: View,
  data: RequestLaunchTemplateData,
): ValidationWarning | undefined {
  const record = { template: '', account: '', version: 1, description: '', createdBy: '' }
  const one = { ImageId: data.ImageId ?? ANY_IMAGE, MinCount: 1, MaxCount: 1 }
  try {
    parseRun(mergedRun(one, { ...record, createdAtMs: 0, data }), view)
    return undefined
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { Errors: [{ Code: error.code, Message: error.message }] }
  }
}

function askedFor(view: View, account: string, input: Described): LaunchTemplateVersion[] {
  const { Versions: named = [], MinVersion: min, MaxVersion: max } = input
  if (named.length > 0 && (min !== undefined || max !== undefined)) {
    const text = 'The request names versions; MinVersion and MaxVersion cannot be used with them'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (input.LaunchTemplateId !== undefined || input.LaunchTemplateName !== undefined) {
    const template = templateInView(view, account, input)
    const first = min === undefined ? 1 : versionNumber(template, min)
    const last = max === undefined ? latestVersion(template) : versionNumber(template, max)
    const numbers =
      named.length > 0
        ? named.map((text) => versionInView(view, template, text).version)
        : template.versions.filter((number) => number >= first && number <= last)
    return shownOf(view, template, numbers)
  }
  // Of all templates only these two can be asked for.
  const other = named.find((text) => text !== '$Latest' && text !== '$Default')
  if (named.length === 0 || other !== undefined) {
    required('LaunchTemplateId or LaunchTemplateName', undefined)
  }
  return view.by('launch-template', 'account', account).flatMap((template) => {
    const numbers = named.map((text) => versionNumber(template, text))
    return shownOf(view, template, numbers)
  })
}

function shownOf(
  view: View,
  template: LaunchTemplateRecord,
  numbers: readonly number[],
): LaunchTemplateVersion[] {
  return [...new Set(numbers)]
    .map((number) => view.get('launch-template-version', template.id, String(number)))
    .filter((version) => version !== null)
    .map((version) => versionOf(template, version))
}

function versionOf(
  template: LaunchTemplateRecord,
  record: LaunchTemplateVersionRecord,
): LaunchTemplateVersion {
  const { version, description, createdAtMs, createdBy } = record
  return {
    LaunchTemplateId: template.id,
    LaunchTemplateName: template.name,
    VersionNumber: version,
    VersionDescription: description === '' ? undefined : description,
    CreateTime: new Date(createdAtMs),
    CreatedBy: createdBy,
    DefaultVersion: version === template.defaultVersion,
    LaunchTemplateData: shownData(record),
  }
}

/** Templates in the order of their ids, each with its newest version first, as EC2 has them. */
function cursorOf({ LaunchTemplateId = '', VersionNumber = 0 }: LaunchTemplateVersion): string {
  return `${LaunchTemplateId} ${String(1_000_000_000 - VersionNumber).padStart(10, '0')}`
}

function refusalOf(
  template: LaunchTemplateRecord,
  number: number,
): DeleteLaunchTemplateVersionsResponseErrorItem[] {
  const isThere = template.versions.includes(number)
  if (isThere && number !== template.defaultVersion) return []
  const text = isThere
    ? `Version ${number} is the default one; give the template another default version first`
    : unknownVersion(template, number).message
  const Code = isThere ? 'unexpectedError' : 'launchTemplateVersionDoesNotExist'
  return [
    {
      LaunchTemplateId: template.id,
      LaunchTemplateName: template.name,
      VersionNumber: number,
      ResponseError: { Code, Message: text },
    },
  ]
}

function checkCount({ id, versions }: LaunchTemplateRecord): void {
  if (versions.length < MAX_VERSIONS) return
  const text = `The launch template ${id} has ${MAX_VERSIONS} versions; no more are allowed.`
  throw new ApiError('LaunchTemplateVersionLimitExceeded', text)
}
