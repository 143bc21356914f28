// CreateLaunchTemplate, DescribeLaunchTemplates, ModifyLaunchTemplate and DeleteLaunchTemplate.
// Versions: launch-template-versions.ts.

import type { LaunchTemplate } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { LaunchTemplateRecord } from '../store/compute-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInView, newId } from './ids.ts'
import { badValue, endDryRun, isAsked, refuseUnknown, required } from './input.ts'
import { checkTemplateData } from './launch-template-data.ts'
import {
  latestVersion,
  parseTemplateName,
  templateInStore,
  templateInView,
  templateNameKey,
  unknownVersion,
  versionNumber,
} from './launch-template-names.ts'
import { parseVersionDescription, warningOf } from './launch-template-versions.ts'
import { pageOf } from './paging.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'

type TemplateHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateLaunchTemplate'
    | 'DeleteLaunchTemplate'
    | 'DescribeLaunchTemplates'
    | 'ModifyLaunchTemplate'
  >
>

const MAX_RESULTS = 200
const CREATE_KNOWN = new Set([
  'LaunchTemplateName',
  'LaunchTemplateData',
  'VersionDescription',
  'TagSpecifications',
  'ClientToken',
  'DryRun',
])
const NOTHING = new Map<string, readonly unknown[]>()

const FILTERABLE: Filterable<LaunchTemplate> = {
  fields: {
    'create-time': (template) => template.CreateTime?.toISOString(),
    'launch-template-name': (template) => template.LaunchTemplateName,
  },
  tags: (template) => template.Tags,
}

export function launchTemplateHandlers({
  state,
  randomHex,
}: {
  state: State
  randomHex: RandomHex
}): TemplateHandlers {
  return {
    CreateLaunchTemplate: async (context, input) => {
      const { caller, nowMs } = context
      const { account } = caller
      const name = parseTemplateName(required('LaunchTemplateName', input.LaunchTemplateName))
      const data = required('LaunchTemplateData', input.LaunchTemplateData)
      refuseUnknown(input, CREATE_KNOWN, NOTHING)
      checkTemplateData(data)
      const description = parseVersionDescription(input.VersionDescription)
      const tags = parseTagSpecifications(input.TagSpecifications, ['launch-template'])
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CreateLaunchTemplate', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        await checkNameIsFree(tx, account, name)
        await checkQuota(tx, state, account, 'launch-templates')
        endDryRun(input)
        const made = await newId(tx, randomHex, 'launch-template')
        const by = { createdBy: caller.userArn, createdAtMs: nowMs }
        const versions = { defaultVersion: 1, versions: [1], lastVersion: 1 }
        await tx.put('launch-template', [made], { id: made, account, name, ...by, ...versions })
        await tx.put('name', templateNameKey(account, name), { name, holder: made })
        const version = { template: made, account, version: 1, description, ...by, data }
        await tx.put('launch-template-version', [made, '1'], version)
        const owner = { kind: 'launch-template', id: made, account } as const
        await addTags(tx, owner, tags.get('launch-template') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      const view = await state.fresh()
      return { LaunchTemplate: shownById(view, account, id), Warning: warningOf(view, data) }
    },

    DescribeLaunchTemplates: async (context, input) => {
      const view = await state.fresh()
      const named = askedFor(view, context.caller.account, input)
      endDryRun(input)
      const shown = named.map((template) => templateOf(view, template))
      const found = matching(shown, input.Filters, FILTERABLE)
      const { items, nextToken } = pageOf(
        context,
        'DescribeLaunchTemplates',
        input,
        found,
        (template) => template.LaunchTemplateId ?? '',
        MAX_RESULTS,
        1,
      )
      return { LaunchTemplates: [...items], NextToken: nextToken }
    },

    ModifyLaunchTemplate: async (context, input) => {
      const { account } = context.caller
      const asked = required('SetDefaultVersion', input.DefaultVersion)
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'ModifyLaunchTemplate', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const template = await templateInStore(tx, account, input)
        const number = versionNumber(template, asked)
        if (!template.versions.includes(number)) throw unknownVersion(template, number)
        endDryRun(input)
        await tx.put('launch-template', [template.id], { ...template, defaultVersion: number })
        await keepAnswer(tx, use, template.id)
        return template.id
      })
      return { LaunchTemplate: shownById(await state.fresh(), account, id) }
    },

    DeleteLaunchTemplate: async ({ caller: { account } }, input) => {
      const shown = templateOf(
        await state.fresh(),
        templateInView(await state.fresh(), account, input),
      )
      await state.update(async (tx) => {
        const template = await templateInStore(tx, account, input)
        endDryRun(input)
        for (const number of template.versions) {
          await tx.delete('launch-template-version', template.id, String(number))
        }
        await tx.delete('name', ...templateNameKey(account, template.name))
        await tx.delete('tags', template.id)
        await tx.delete('launch-template', template.id)
      })
      return { LaunchTemplate: shown }
    },
  }
}

async function checkNameIsFree(tx: Transaction, account: string, name: string): Promise<void> {
  const holder = await tx.get('name', ...templateNameKey(account, name))
  if (holder === null) return
  const text = `The launch template name '${name}' is already in use by ${holder.holder}.`
  throw new ApiError('InvalidLaunchTemplateName.AlreadyExistsException', text)
}

function askedFor(
  view: View,
  account: string,
  { LaunchTemplateIds: ids, LaunchTemplateNames: names }: Ec2Inputs['DescribeLaunchTemplates'],
): readonly LaunchTemplateRecord[] {
  for (const name of names ?? []) templateInView(view, account, { LaunchTemplateName: name })
  if ((ids?.length ?? 0) > 0 && (names?.length ?? 0) > 0) {
    throw badValue('LaunchTemplateName', names?.[0], 'The request names templates by ID as well.')
  }
  const all =
    ids === undefined || ids.length === 0
      ? view.by('launch-template', 'account', account)
      : namedInView(view, 'launch-template', ids, account)
  return all.filter((template) => isAsked(names, template.name))
}

function shownById(view: View, account: string, id: string): LaunchTemplate {
  return templateOf(view, templateInView(view, account, { LaunchTemplateId: id }))
}

function templateOf(view: View, template: LaunchTemplateRecord): LaunchTemplate {
  return {
    LaunchTemplateId: template.id,
    LaunchTemplateName: template.name,
    CreateTime: new Date(template.createdAtMs),
    CreatedBy: template.createdBy,
    DefaultVersionNumber: template.defaultVersion,
    LatestVersionNumber: latestVersion(template),
    Tags: tagList(view, template.id),
  }
}
