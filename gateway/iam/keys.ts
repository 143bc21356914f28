// Access keys of users, and of the root: two each, so that one can take the other's place.

import type { AccessKeyMetadata } from '@aws-sdk/client-iam'
import { createAccessKey } from '../access-keys.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, IamHandlers } from '../aws/handlers.ts'
import type { AccessKeyRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { change, type IamParts } from './entities.ts'
import { invalid, limitExceeded, notThere } from './errors.ts'
import { pageOf } from './paging.ts'
import { isRoot, userNamed } from './users.ts'

const MOST = 2

/** Whose keys a request is about. */
interface Owner {
  /** Id of the user; undefined for the root. */
  readonly user: string | undefined
  readonly name: string
}

export function keyHandlers({ state, sealer, randomHex }: IamParts): IamHandlers {
  return {
    CreateAccessKey: async ({ caller, nowMs }, input) => {
      const { account } = caller
      return await change(state, account, async (tx, view) => {
        const { user, name } = ownerOf(view, caller, input.UserName)
        if (keysOf(view, account, user).length >= MOST) {
          throw limitExceeded('AccessKeysPerUser', MOST)
        }
        const { record, secret } = createAccessKey({ sealer, randomHex, nowMs }, account, user)
        await tx.put('access-key', [record.id], record)
        const shown = shownKey(record, name)
        return { AccessKey: { ...shown, AccessKeyId: record.id, SecretAccessKey: secret } } as never
      })
    },

    ListAccessKeys: ({ caller }, input) => {
      const view = state.view()
      const { user, name } = ownerOf(view, caller, input.UserName)
      const { items, end } = pageOf(input, keysOf(view, caller.account, user), ({ id }) => id)
      return { AccessKeyMetadata: items.map((key) => shownKey(key, name)), ...end }
    },

    UpdateAccessKey: async ({ caller }, input) => {
      const { Status: status } = input
      if (status !== 'Active' && status !== 'Inactive') {
        throw invalid(`Value (${status}) for parameter Status is invalid.`)
      }
      return await change(state, caller.account, async (tx, view) => {
        const { user } = ownerOf(view, caller, input.UserName)
        const key = keyOf(view, caller, user, input.AccessKeyId)
        await tx.put('access-key', [key.id], { ...key, status })
        return {}
      })
    },

    DeleteAccessKey: async ({ caller }, input) =>
      await change(state, caller.account, async (tx, view) => {
        const { user } = ownerOf(view, caller, input.UserName)
        const { id } = keyOf(view, caller, user, input.AccessKeyId)
        await tx.delete('access-key', id)
        await tx.delete('key-use', id)
        return {}
      }),

    GetAccessKeyLastUsed: ({ caller }, input) => {
      const view = state.view()
      const id = input.AccessKeyId ?? ''
      const key = view.get('access-key', id)
      if (key?.account !== caller.account) {
        const message = `AccessKey ${id.slice(0, 128)} does not belong to this account.`
        throw new ApiError('AccessDenied', message, 403)
      }
      const use = view.get('key-use', id)
      const [user] = key.user === undefined ? [] : view.by('iam-user', 'id', key.user)
      return {
        ...(user !== undefined && { UserName: user.name }),
        AccessKeyLastUsed: {
          ...(use !== null && { LastUsedDate: new Date(use.usedAtMs) }),
          ServiceName: use?.service ?? 'N/A',
          Region: use?.region ?? 'N/A',
        },
      }
    },
  }
}

/** Without a name it is whoever asks. */
function ownerOf(view: View, caller: CallContext['caller'], name: string | undefined): Owner {
  if (name === undefined && isRoot(caller)) return { user: undefined, name: '' }
  const user = userNamed(view, caller, name)
  return { user: user.id, name: user.name }
}

function keysOf(view: View, account: string, user: string | undefined): AccessKeyRecord[] {
  return view.by('access-key', 'account', account).filter((key) => key.user === user)
}

function keyOf(
  view: View,
  { account }: CallContext['caller'],
  user: string | undefined,
  id: string | undefined,
): AccessKeyRecord {
  const key = keysOf(view, account, user).find((one) => one.id === id)
  if (key !== undefined) return key
  throw notThere(`The Access Key with id ${id} cannot be found`)
}

function shownKey(key: AccessKeyRecord, userName: string): AccessKeyMetadata {
  return {
    ...(userName !== '' && { UserName: userName }),
    AccessKeyId: key.id,
    Status: key.status,
    CreateDate: new Date(key.createdAtMs),
  }
}
