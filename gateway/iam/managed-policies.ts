// Managed policies and their versions, as accounts make, read and end them.

import type { Policy, PolicyVersion as ShownVersion } from '@aws-sdk/client-iam'
import { ApiError } from '../aws/api-error.ts'
import type { IamHandlers } from '../aws/handlers.ts'
import type { ManagedPolicyRecord, PolicyVersion } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import {
  checkDescription,
  checkName,
  checkPath,
  checkPathPrefix,
  checkTags,
  mergeTags,
  shownTags,
} from './checks.ts'
import { checkManaged, encodeDocument } from './documents.ts'
import {
  change,
  checkNew,
  deleteEntity,
  entitiesOf,
  type IamParts,
  newEntityId,
  putEntity,
} from './entities.ts'
import { invalid, notThere, unsatisfied } from './errors.ts'
import { pageOf } from './paging.ts'
import {
  type Attachments,
  attachmentsOf,
  awsPolicies,
  type ManagedPolicy,
  managedPolicy,
  ofRecord,
} from './policies.ts'

const MAX_VERSIONS = 5
const VERSION_ID = /^v[1-9][0-9]*(?:\.[A-Za-z0-9-]*)?$/

export function managedPolicyHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreatePolicy: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('policyName', input.PolicyName)
      const path = checkPath(input.Path)
      const description = checkDescription(input.Description)
      const tags = mergeTags({}, checkTags(input.Tags))
      const document = checkManaged(input.PolicyDocument)
      return await change(state, account, async (tx, view) => {
        checkNew(view, 'iam-policy', { account, name })
        const record: ManagedPolicyRecord = {
          ...{ id: newEntityId(randomHex, 'iam-policy'), account, name, path, description, tags },
          ...{ defaultVersion: 'v1', nextVersion: 2, createdAtMs: nowMs, updatedAtMs: nowMs },
          versions: [{ id: 'v1', document, createdAtMs: nowMs }],
        }
        await putEntity(tx, 'iam-policy', record)
        return { Policy: shownPolicy(ofRecord(record), attachmentsOf(view, account)) }
      })
    },

    GetPolicy: ({ caller: { account } }, input) => {
      const view = state.view()
      const policy = managedPolicy(view, account, arnIn(input))
      const described = { Description: policy.description }
      const Tags = shownTags(policy.tags)
      return {
        Policy: { ...shownPolicy(policy, attachmentsOf(view, account)), ...described, Tags },
      }
    },

    DeletePolicy: async ({ caller: { account } }, input) => {
      return await change(state, account, async (tx, view) => {
        const { arn, record, versions } = own(view, account, arnIn(input))
        const { attached, bounds } = attachmentsOf(view, account)
        if (attached.has(arn) || bounds.has(arn)) {
          const message = 'Cannot delete a policy attached to entities.'
          throw new ApiError('DeleteConflict', message, 409)
        }
        if (versions.length > 1) {
          const message =
            'This policy has more than one version. Before you delete a policy, you must delete ' +
            "the policy's versions. The default version is deleted with the policy."
          throw new ApiError('DeleteConflict', message, 409)
        }
        await deleteEntity(tx, 'iam-policy', record)
        return {}
      })
    },

    ListPolicies: ({ caller: { account } }, input) => {
      const view = state.view()
      const prefix = checkPathPrefix(input.PathPrefix)
      const attachments = attachmentsOf(view, account)
      const { Scope: scope = 'All', PolicyUsageFilter: usage, OnlyAttached: only = false } = input
      const local = entitiesOf(view, 'iam-policy', account).map(ofRecord)
      const found = [...(scope === 'AWS' ? [] : local), ...(scope === 'Local' ? [] : awsPolicies())]
        .filter(({ path }) => path.startsWith(prefix))
        .filter(
          ({ arn }) => !(only || usage === 'PermissionsPolicy') || attachments.attached.has(arn),
        )
        .filter(({ arn }) => usage !== 'PermissionsBoundary' || attachments.bounds.has(arn))
      const { items, end } = pageOf(input, found, ({ arn }) => arn)
      return { Policies: items.map((policy) => shownPolicy(policy, attachments)), ...end }
    },

    CreatePolicyVersion: async ({ caller: { account }, nowMs }, input) => {
      const document = checkManaged(input.PolicyDocument)
      return await change(state, account, async (tx, view) => {
        const { record } = own(view, account, arnIn(input))
        if (record.versions.length >= MAX_VERSIONS) {
          const message =
            `A managed policy can have up to ${MAX_VERSIONS} versions. Before you create a new ` +
            'version, you must delete an existing version.'
          throw new ApiError('LimitExceeded', message, 409)
        }
        const version = { id: `v${record.nextVersion}`, document, createdAtMs: nowMs }
        const changed = {
          ...record,
          versions: [...record.versions, version],
          nextVersion: record.nextVersion + 1,
          defaultVersion: input.SetAsDefault === true ? version.id : record.defaultVersion,
          updatedAtMs: nowMs,
        }
        await putEntity(tx, 'iam-policy', changed)
        return { PolicyVersion: shownVersion(ofRecord(changed), version) }
      })
    },

    GetPolicyVersion: ({ caller: { account } }, input) => {
      const policy = managedPolicy(state.view(), account, arnIn(input))
      const version = versionOf(policy, input.VersionId)
      const Document = encodeDocument(version.document)
      return { PolicyVersion: { Document, ...shownVersion(policy, version) } }
    },

    ListPolicyVersions: ({ caller: { account } }, input) => {
      const policy = managedPolicy(state.view(), account, arnIn(input))
      // Newest first: v10 comes before v9.
      const cursor = ({ id }: PolicyVersion): string => String(1e9 - Number(id.slice(1)))
      const { items, end } = pageOf(input, policy.versions, cursor)
      return { Versions: items.map((version) => shownVersion(policy, version)), ...end }
    },

    SetDefaultPolicyVersion: async ({ caller: { account }, nowMs }, input) => {
      return await change(state, account, async (tx, view) => {
        const policy = own(view, account, arnIn(input))
        const { id } = versionOf(policy, input.VersionId)
        const changed = { ...policy.record, defaultVersion: id, updatedAtMs: nowMs }
        await putEntity(tx, 'iam-policy', changed)
        return {}
      })
    },

    DeletePolicyVersion: async ({ caller: { account }, nowMs }, input) => {
      return await change(state, account, async (tx, view) => {
        const policy = own(view, account, arnIn(input))
        const { id } = versionOf(policy, input.VersionId)
        if (id === policy.defaultVersion) {
          const message = 'Cannot delete the default version of a policy.'
          throw new ApiError('DeleteConflict', message, 409)
        }
        const versions = policy.versions.filter((version) => version.id !== id)
        await putEntity(tx, 'iam-policy', { ...policy.record, versions, updatedAtMs: nowMs })
        return {}
      })
    },
  }
}

function arnIn({ PolicyArn: arn }: { readonly PolicyArn?: string | undefined }): string {
  if (arn === undefined) throw invalid('The request must contain the parameter PolicyArn')
  return arn
}

/** One that the account may change. */
function own(
  view: View,
  account: string,
  arn: string,
): ManagedPolicy & { readonly record: ManagedPolicyRecord } {
  const policy = managedPolicy(view, account, arn)
  const { record } = policy
  if (record !== null) return { ...policy, record }
  throw new ApiError('AccessDenied', `The policy ${arn} is AWS' and cannot be changed.`, 403)
}

function versionOf(policy: ManagedPolicy, id: string | undefined): PolicyVersion {
  if (id !== undefined && !VERSION_ID.test(id)) {
    const constraint = String.raw`v[1-9][0-9]*(\.[A-Za-z0-9-]*)?`
    throw unsatisfied('versionId', id, `satisfy regular expression pattern: ${constraint}`)
  }
  const found = policy.versions.find((version) => version.id === id)
  if (found !== undefined) return found
  throw notThere(`Policy ${policy.arn} version ${id} does not exist or is not attachable.`)
}

export function shownPolicy(policy: ManagedPolicy, { attached, bounds }: Attachments): Policy {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersion,
    AttachmentCount: attached.get(policy.arn) ?? 0,
    PermissionsBoundaryUsageCount: bounds.get(policy.arn) ?? 0,
    IsAttachable: true,
    CreateDate: new Date(policy.createdAtMs),
    UpdateDate: new Date(policy.updatedAtMs),
  }
}

export function shownVersion(policy: ManagedPolicy, version: PolicyVersion): ShownVersion {
  return {
    VersionId: version.id,
    IsDefaultVersion: version.id === policy.defaultVersion,
    CreateDate: new Date(version.createdAtMs),
  }
}
