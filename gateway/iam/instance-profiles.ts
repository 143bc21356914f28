// Instance profiles: what gives an instance a role.

import type { InstanceProfile } from '@aws-sdk/client-iam'
import type { IamHandlers } from '../aws/handlers.ts'
import type { InstanceProfileRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { checkName, checkPath, checkTags, mergeTags, shownTags } from './checks.ts'
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
} from './entities.ts'
import { deleteConflict, limitExceeded, notThere } from './errors.ts'
import { type PageEnd, type PageRequest, pageOf } from './paging.ts'
import { shownRole } from './roles.ts'

export function instanceProfileHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreateInstanceProfile: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('instanceProfileName', input.InstanceProfileName)
      const path = checkPath(input.Path)
      const tags = mergeTags({}, checkTags(input.Tags))
      return await change(state, account, async (tx, view) => {
        checkNew(view, 'iam-profile', { account, name })
        const id = newEntityId(randomHex, 'iam-profile')
        const profile = { id, account, name, path, createdAtMs: nowMs, role: '', tags }
        await putEntity(tx, 'iam-profile', profile)
        return { InstanceProfile: shownProfile(view, profile) }
      })
    },

    GetInstanceProfile: ({ caller: { account } }, input) => {
      const view = state.view()
      const name = checkName('instanceProfileName', input.InstanceProfileName)
      return { InstanceProfile: shownProfile(view, entity(view, 'iam-profile', { account, name })) }
    },

    DeleteInstanceProfile: async ({ caller: { account } }, input) => {
      const name = checkName('instanceProfileName', input.InstanceProfileName)
      return await change(state, account, async (tx, view) => {
        const profile = entity(view, 'iam-profile', { account, name })
        if (profile.role !== '') throw deleteConflict('remove roles from instance profile')
        await deleteEntity(tx, 'iam-profile', profile)
        return {}
      })
    },

    AddRoleToInstanceProfile: async ({ caller: { account } }, input) => {
      const name = checkName('instanceProfileName', input.InstanceProfileName)
      const roleName = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const profile = entity(view, 'iam-profile', { account, name })
        const role = entity(view, 'iam-role', { account, name: roleName })
        if (profile.role !== '') throw limitExceeded('InstanceSessionsPerInstanceProfile', 1)
        await putEntity(tx, 'iam-profile', { ...profile, role: role.id })
        return {}
      })
    },

    RemoveRoleFromInstanceProfile: async ({ caller: { account } }, input) => {
      const name = checkName('instanceProfileName', input.InstanceProfileName)
      const roleName = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const profile = entity(view, 'iam-profile', { account, name })
        const role = entity(view, 'iam-role', { account, name: roleName })
        if (profile.role !== role.id) {
          throw notThere(`The role ${roleName} is not in the instance profile ${name}.`)
        }
        await putEntity(tx, 'iam-profile', { ...profile, role: '' })
        return {}
      })
    },

    ListInstanceProfiles: ({ caller: { account } }, input) => {
      const view = state.view()
      const below = { account, prefix: input.PathPrefix }
      return page(view, input, entitiesBelow(view, 'iam-profile', below))
    },

    ListInstanceProfilesForRole: ({ caller: { account } }, input) => {
      const view = state.view()
      const name = checkName('roleName', input.RoleName)
      const { id } = entity(view, 'iam-role', { account, name })
      return page(view, input, view.by('iam-profile', 'role', id))
    },
  }
}

function page(
  view: View,
  input: PageRequest,
  profiles: readonly InstanceProfileRecord[],
): PageEnd & { InstanceProfiles: InstanceProfile[] } {
  const { items, end } = pageOf(input, profiles, ({ name }) => name)
  const shown = items.map(({ tags: _, ...profile }) => shownProfile(view, { ...profile, tags: {} }))
  return { InstanceProfiles: shown, ...end }
}

export function shownProfile(view: View, profile: InstanceProfileRecord): InstanceProfile {
  const [role] = profile.role === '' ? [] : view.by('iam-role', 'id', profile.role)
  return {
    Path: profile.path,
    InstanceProfileName: profile.name,
    InstanceProfileId: profile.id,
    Arn: arnOf('iam-profile', profile),
    CreateDate: new Date(profile.createdAtMs),
    Roles: role === undefined ? [] : [shownRole(role)],
    ...(Object.keys(profile.tags).length > 0 && { Tags: shownTags(profile.tags) }),
  }
}
