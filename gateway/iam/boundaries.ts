// Permission boundaries of users and roles: a managed policy that nothing they have goes beyond.

import type { AttachedPermissionsBoundary } from '@aws-sdk/client-iam'
import type { IamHandlers } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import { checkName } from './checks.ts'
import { change, entity, type IamParts, putEntity } from './entities.ts'
import { notThere } from './errors.ts'
import { managedPolicy } from './policies.ts'

export function boundaryHandlers({ state }: IamParts): IamHandlers {
  return {
    PutUserPermissionsBoundary: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        const boundary = boundaryOf(view, account, input.PermissionsBoundary)
        await putEntity(tx, 'iam-user', { ...user, boundary })
        return {}
      })
    },

    DeleteUserPermissionsBoundary: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        if (user.boundary === '') throw none(name)
        await putEntity(tx, 'iam-user', { ...user, boundary: '' })
        return {}
      })
    },

    PutRolePermissionsBoundary: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const role = entity(view, 'iam-role', { account, name })
        const boundary = boundaryOf(view, account, input.PermissionsBoundary)
        await putEntity(tx, 'iam-role', { ...role, boundary })
        return {}
      })
    },

    DeleteRolePermissionsBoundary: async ({ caller: { account } }, input) => {
      const name = checkName('roleName', input.RoleName)
      return await change(state, account, async (tx, view) => {
        const role = entity(view, 'iam-role', { account, name })
        if (role.boundary === '') throw none(name)
        await putEntity(tx, 'iam-role', { ...role, boundary: '' })
        return {}
      })
    },
  }
}

/** The ARN of a boundary that is there; '' for none. Throws NoSuchEntity, ValidationError. */
export function boundaryOf(view: View, account: string, arn: string | undefined): string {
  if (arn === undefined) return ''
  return managedPolicy(view, account, arn).arn
}

export function shownBoundary(arn: string): { PermissionsBoundary?: AttachedPermissionsBoundary } {
  if (arn === '') return {}
  return {
    PermissionsBoundary: {
      PermissionsBoundaryType: 'PermissionsBoundaryPolicy',
      PermissionsBoundaryArn: arn,
    },
  }
}

function none(name: string): Error {
  return notThere(`${name} has no permissions boundary.`)
}
