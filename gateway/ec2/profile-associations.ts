// Which instance has which instance profile: associated, taken away, replaced, shown.

import type { IamInstanceProfile, IamInstanceProfileAssociation } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { arnOf } from '../iam/entities.ts'
import type { ProfileAssociationRecord } from '../store/iam-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { oneInStore, randomId } from './ids.ts'
import { badValue, required } from './input.ts'
import { pageOf } from './paging.ts'
import { type ProfileWish, parseProfileWish, profileFor } from './profile-wish.ts'

type ProfileHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'AssociateIamInstanceProfile'
    | 'DescribeIamInstanceProfileAssociations'
    | 'DisassociateIamInstanceProfile'
    | 'ReplaceIamInstanceProfileAssociation'
  >
>

const FILTERABLE: Filterable<IamInstanceProfileAssociation> = {
  fields: {
    'instance-id': (one) => one.InstanceId,
    state: (one) => one.State,
  },
}

export function profileAssociationHandlers({
  state,
  randomHex,
}: {
  state: State
  randomHex: RandomHex
}): ProfileHandlers {
  return {
    AssociateIamInstanceProfile: async (context, input) => {
      const id = required('InstanceId', input.InstanceId)
      const wish = wishIn(input.IamInstanceProfile)
      const { caller, nowMs } = context
      const made = await state.update(async (tx) => {
        const instance = await oneInStore(tx, 'instance', id, caller.account)
        if (instance.state === 'terminated' || instance.state === 'shutting-down') {
          const text = `The instance '${id}' is not in the 'running' or 'stopped' states.`
          throw new ApiError('IncorrectInstanceState', text)
        }
        if ((await tx.get('profile-association', id)) !== null) {
          const text = `There is an existing association for instance ${id}`
          throw new ApiError('IncorrectState', text)
        }
        const profile = await profileFor(tx, await state.fresh(), context, wish)
        const about = { account: caller.account, instance: id, profile: profile.id, nowMs }
        return await putAssociation(tx, randomHex, about)
      })
      const shown = associationOf(await state.fresh(), made, 'associating')
      return { IamInstanceProfileAssociation: shown }
    },

    DisassociateIamInstanceProfile: async ({ caller }, input) => {
      const id = required('AssociationId', input.AssociationId)
      const before = await state.fresh()
      const gone = await state.update(async (tx) => {
        const association = await associationIn(tx, await state.fresh(), caller.account, id)
        await tx.delete('profile-association', association.instance)
        await tx.delete('instance-credentials', association.instance)
        return association
      })
      const shown = associationOf(before, gone, 'disassociating')
      return { IamInstanceProfileAssociation: shown }
    },

    ReplaceIamInstanceProfileAssociation: async (context, input) => {
      const id = required('AssociationId', input.AssociationId)
      const wish = wishIn(input.IamInstanceProfile)
      const { caller, nowMs } = context
      const made = await state.update(async (tx) => {
        const view = await state.fresh()
        const { instance } = await associationIn(tx, view, caller.account, id)
        const profile = await profileFor(tx, view, context, wish)
        const about = { account: caller.account, instance, profile: profile.id, nowMs }
        await tx.delete('instance-credentials', instance)
        return await putAssociation(tx, randomHex, about)
      })
      const shown = associationOf(await state.fresh(), made, 'associating')
      return { IamInstanceProfileAssociation: shown }
    },

    DescribeIamInstanceProfileAssociations: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const ids = input.AssociationIds ?? []
      const own = view.by('profile-association', 'account', account)
      const missing = ids.find((id) => !own.some((one) => one.id === id))
      if (missing !== undefined) throw noAssociation(missing)
      const shown = own
        .filter((one) => ids.length === 0 || ids.includes(one.id))
        .map((one) => associationOf(view, one, 'associated'))
      const found = matching(shown, input.Filters, FILTERABLE)
      const action = 'DescribeIamInstanceProfileAssociations'
      const cursor = (one: IamInstanceProfileAssociation): string => one.AssociationId ?? ''
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { IamInstanceProfileAssociations: [...items], NextToken: nextToken }
    },
  }
}

/** Writes down that an instance has a profile, in place of the one that it may have had. */
export async function putAssociation(
  tx: Transaction,
  randomHex: RandomHex,
  about: {
    readonly account: string
    readonly instance: string
    readonly profile: string
    readonly nowMs: number
  },
): Promise<ProfileAssociationRecord> {
  const { nowMs: atMs, ...of } = about
  const record = { id: randomId(randomHex, 'iip-assoc'), ...of, atMs }
  await tx.put('profile-association', [about.instance], record)
  return record
}

/** The profile that an instance shows; absent without one. */
export function instanceProfileOf(view: View, instance: string): IamInstanceProfile | undefined {
  const association = view.get('profile-association', instance)
  return association === null ? undefined : profileIn(view, association)
}

function wishIn(wish: ProfileWish | undefined): ProfileWish {
  const parsed = parseProfileWish(required('IamInstanceProfile', wish))
  if (parsed !== null) return parsed
  throw badValue('iamInstanceProfile', '', 'It names no profile.')
}

async function associationIn(
  tx: Transaction,
  view: View,
  account: string,
  id: string,
): Promise<ProfileAssociationRecord> {
  const [found] = view.by('profile-association', 'id', id)
  const association =
    found?.account === account ? await tx.get('profile-association', found.instance) : null
  if (association?.id === id) return association
  throw noAssociation(id)
}

function noAssociation(id: string): ApiError {
  const text = `An invalid association-id of '${id}' was given`
  return new ApiError('NoSuchAssociation', text)
}

function associationOf(
  view: View,
  record: ProfileAssociationRecord,
  state: NonNullable<IamInstanceProfileAssociation['State']>,
): IamInstanceProfileAssociation {
  return {
    AssociationId: record.id,
    InstanceId: record.instance,
    IamInstanceProfile: profileIn(view, record),
    State: state,
    Timestamp: new Date(record.atMs),
  }
}

/** Of a profile that was deleted meanwhile its id is left. */
function profileIn(view: View, { profile: id }: ProfileAssociationRecord): IamInstanceProfile {
  const [profile] = view.by('iam-profile', 'id', id)
  return { Id: id, ...(profile !== undefined && { Arn: arnOf('iam-profile', profile) }) }
}
