// Roles: who may act as them (their trust policy), for how long, and their life.

import type { Role, RoleLastUsed } from '@aws-sdk/client-iam'
import type { IamHandlers } from '../aws/handlers.ts'
import type { RoleRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { boundaryOf, shownBoundary } from './boundaries.ts'
import {
  checkDescription,
  checkName,
  checkPath,
  checkTags,
  mergeTags,
  shownTags,
} from './checks.ts'
import { checkTrust, encodeDocument } from './documents.ts'
import {
  arnOf,
  change,
  checkNew,
  deleteEntity,
  entitiesBelow,
  entity,
  type IamParts,
  newEntityId,
  putEntity,
  refuseWithPolicies,
} from './entities.ts'
import { deleteConflict, unsatisfied } from './errors.ts'
import { pageOf } from './paging.ts'

const HOUR_SECONDS = 3_600
const MAX_SESSION_SECONDS = 12 * HOUR_SECONDS

export function roleHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreateRole: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('roleName', input.RoleName)
      const path = checkPath(input.Path)
      const description = checkDescription(input.Description)
      const maxSessionSeconds = checkSession(input.MaxSessionDuration)
      const tags = mergeTags({}, checkTags(input.Tags))
      return await change(state, account, async (tx, view) => {
        checkNew(view, 'iam-role', { account, name })
        const role: RoleRecord = {
          ...{ id: newEntityId(randomHex, 'iam-role'), account, name, path, createdAtMs: nowMs },
          ...checkTrust(view, input.AssumeRolePolicyDocument),
          ...{ attached: [], inline: {}, description, maxSessionSeconds, tags },
          boundary: boundaryOf(view, account, input.PermissionsBoundary),
        }
        await putEntity(tx, 'iam-role', role)
        return { Role: shownRole(role, { whole: true }) }
      })
    },

    GetRole: ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      const view = state.view()
      const role = entity(view, 'iam-role', { account, name })
      return { Role: { ...shownRole(role, { whole: true }), RoleLastUsed: lastUsed(view, role) } }
    },

    UpdateRole: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      const description = checkDescription(input.Description)
      const maxSessionSeconds = checkSession(input.MaxSessionDuration)
      return await change(state, account, async (tx, view) => {
        const role = entity(view, 'iam-role', { account, name })
        await putEntity(tx, 'iam-role', {
          ...role,
          ...(input.Description !== undefined && { description }),
          ...(input.MaxSessionDuration !== undefined && { maxSessionSeconds }),
        })
        return {}
      })
    },

    UpdateRoleDescription: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      const description = checkDescription(input.Description)
      return await change(state, account, async (tx, view) => {
        const role = { ...entity(view, 'iam-role', { account, name }), description }
        await putEntity(tx, 'iam-role', role)
        return { Role: shownRole(role, { whole: true }) }
      })
    },

    UpdateAssumeRolePolicy: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const role = entity(view, 'iam-role', { account, name })
        const trust = checkTrust(view, input.PolicyDocument)
        await putEntity(tx, 'iam-role', { ...role, ...trust })
        return {}
      })
    },

    DeleteRole: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const role = entity(view, 'iam-role', { account, name })
        if (view.by('iam-profile', 'role', role.id).length > 0) {
          throw deleteConflict('remove roles from instance profile')
        }
        refuseWithPolicies(role)
        await deleteEntity(tx, 'iam-role', role)
        await tx.delete('key-use', role.id)
        return {}
      })
    },

    ListRoles: ({ caller: { account } }, input) => {
      const below = { account, prefix: input.PathPrefix }
      const roles = entitiesBelow(state.view(), 'iam-role', below)
      const { items, end } = pageOf(input, roles, ({ name }) => name)
      return { Roles: items.map((role) => shownRole(role)), ...end }
    },
  }
}

function checkSession(seconds = HOUR_SECONDS): number {
  if (seconds < HOUR_SECONDS) {
    const constraint = `have value greater than or equal to ${HOUR_SECONDS}`
    throw unsatisfied('maxSessionDuration', String(seconds), constraint)
  }
  if (seconds > MAX_SESSION_SECONDS) {
    const constraint = `have value less than or equal to ${MAX_SESSION_SECONDS}`
    throw unsatisfied('maxSessionDuration', String(seconds), constraint)
  }
  return seconds
}

/** Empty when nobody acted as it, as AWS has it. */
export function lastUsed(view: View, { id }: RoleRecord): RoleLastUsed {
  const use = view.get('key-use', id)
  return use === null ? {} : { LastUsedDate: new Date(use.usedAtMs), Region: use.region }
}

/** Lists leave tags and boundaries out, as AWS' do. */
export function shownRole(role: RoleRecord, { whole = false } = {}): Role {
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: arnOf('iam-role', role),
    CreateDate: new Date(role.createdAtMs),
    AssumeRolePolicyDocument: encodeDocument(role.trust),
    ...(role.description !== '' && { Description: role.description }),
    MaxSessionDuration: role.maxSessionSeconds,
    ...(whole && shownBoundary(role.boundary)),
    ...(whole && Object.keys(role.tags).length > 0 && { Tags: shownTags(role.tags) }),
  }
}
