// How a request names a launch template and a version of it, and what is there under that name.

import { createHash } from 'node:crypto'
import { ApiError } from '../aws/api-error.ts'
import type { LaunchTemplateRecord, LaunchTemplateVersionRecord } from '../store/compute-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { namedInView, notFound, oneInStore } from './ids.ts'
import { badValue, required } from './input.ts'

/** A template by its id or by its name; never by both. */
export interface TemplateAsked {
  readonly LaunchTemplateId?: string | undefined
  readonly LaunchTemplateName?: string | undefined
}

export interface VersionAsked extends TemplateAsked {
  /** `$Latest`, `$Default` (when absent) or a number. */
  readonly Version?: string | undefined
}

/** How a request names a version → that version by template id and number, or why there is none. */
export type TemplateMeanings = ReadonlyMap<string, VersionAsked | ApiError>

/** EC2 API reference, CreateLaunchTemplate, LaunchTemplateName. */
const NAME = /^[a-zA-Z0-9().\-/_]{3,128}$/
const NUMBER = /^[1-9]\d{0,8}$/

export function parseTemplateName(name: string): string {
  if (NAME.test(name)) return name
  throw new ApiError(
    'InvalidLaunchTemplateName.MalformedException',
    `The launch template name '${name.slice(0, 200)}' is not 3 to 128 letters, digits and ` +
      'characters of - _ . / ( )',
  )
}

/** Throws what AWS answers to a template that is not there or named wrongly. */
export function templateInView(
  view: View,
  account: string,
  asked: TemplateAsked,
): LaunchTemplateRecord {
  const id = idOf(asked)
  if (id !== null) {
    const [template] = namedInView(view, 'launch-template', [id], account)
    if (template === undefined) throw notFound('launch-template', [id])
    return template
  }
  const name = asked.LaunchTemplateName ?? ''
  const holder = view.get('name', ...templateNameKey(account, name))?.holder
  const template = holder === undefined ? null : view.get('launch-template', holder)
  if (template === null) throw unknownName(name)
  return template
}

/** The same as a condition of the transaction. */
export async function templateInStore(
  tx: Transaction,
  account: string,
  asked: TemplateAsked,
): Promise<LaunchTemplateRecord> {
  const id = idOf(asked)
  if (id !== null) return await oneInStore(tx, 'launch-template', id, account)
  const name = asked.LaunchTemplateName ?? ''
  const holder = (await tx.get('name', ...templateNameKey(account, name)))?.holder
  const template = holder === undefined ? null : await tx.get('launch-template', holder)
  if (template === null) throw unknownName(name)
  return template
}

/** The number that `$Latest`, `$Default` or a number means, whether or not it is there. */
export function versionNumber(template: LaunchTemplateRecord, asked: string): number {
  if (asked === '$Latest') return latestVersion(template)
  if (asked === '$Default') return template.defaultVersion
  if (NUMBER.test(asked)) return Number(asked)
  const why = 'Expecting a version number, $Latest or $Default.'
  throw badValue('LaunchTemplateVersion', asked.slice(0, 100), why)
}

/** What each of these means now. Numbers and ids never come to mean another version. */
export function meaningsOf(
  view: View,
  account: string,
  asked: readonly VersionAsked[],
): TemplateMeanings {
  return new Map(asked.map((one) => [textOf(one), meaningOf(view, account, one)]))
}

/** What `asked` meant by `meanings`; throws what was wrong with it then. */
export function meantBy(meanings: TemplateMeanings, asked: VersionAsked): VersionAsked {
  const meant = meanings.get(textOf(asked))
  if (meant === undefined) throw new RangeError(`nobody was asked about ${textOf(asked)}`)
  if (meant instanceof ApiError) throw meant
  return meant
}

function meaningOf(view: View, account: string, asked: VersionAsked): VersionAsked | ApiError {
  try {
    const template = templateInView(view, account, asked)
    const { version } = versionInView(view, template, asked.Version ?? '$Default')
    return { LaunchTemplateId: template.id, Version: String(version) }
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}

function textOf({ LaunchTemplateId, LaunchTemplateName, Version }: VersionAsked): string {
  return JSON.stringify([LaunchTemplateId, LaunchTemplateName, Version])
}

export function latestVersion({ versions, defaultVersion }: LaunchTemplateRecord): number {
  return versions.at(-1) ?? defaultVersion
}

/** Throws InvalidLaunchTemplateId.VersionNotFound. */
export function versionInView(
  view: View,
  template: LaunchTemplateRecord,
  asked: string,
): LaunchTemplateVersionRecord {
  const number = versionNumber(template, asked)
  const version = view.get('launch-template-version', template.id, String(number))
  if (version === null) throw unknownVersion(template, number)
  return version
}

export function unknownVersion(template: LaunchTemplateRecord, number: number): ApiError {
  return new ApiError(
    'InvalidLaunchTemplateId.VersionNotFound',
    `The launch template '${template.id}' (${template.name}) has no version ${number}`,
  )
}

/** A name may have a slash: its digest is the key. */
export function templateNameKey(account: string, name: string): [string, string, string] {
  return ['launch-template', account, createHash('sha256').update(name).digest('hex')]
}

export function unknownName(name: string): ApiError {
  return new ApiError(
    'InvalidLaunchTemplateName.NotFoundException',
    `At least one of the launch templates specified in the request does not exist: '${name}'`,
  )
}

/** The id that a request names; null when it is a name. */
function idOf({ LaunchTemplateId: id, LaunchTemplateName: name }: TemplateAsked): string | null {
  if (id !== undefined && name !== undefined) {
    const text = 'The request names a launch template by both its ID and its name; use one of them'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (id === undefined) required('LaunchTemplateId or LaunchTemplateName', name)
  return id ?? null
}
