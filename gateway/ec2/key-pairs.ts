// CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair. A name is held by one pair of its
// account: the `name` record makes two requests at once meet.

import { createHash } from 'node:crypto'
import type { KeyPairInfo } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { KeyPairRecord } from '../store/network-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInView, newId } from './ids.ts'
import { badValue, endDryRun, isAsked, required } from './input.ts'
import { newEd25519Key, newRsaKey, type PublicKey, parsePublicKey } from './key-material.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'

type KeyPairHandlers = Required<
  Pick<Ec2Handlers, 'CreateKeyPair' | 'ImportKeyPair' | 'DescribeKeyPairs' | 'DeleteKeyPair'>
>

/** ASCII, no space at either end. */
const KEY_NAME = /^[!-~](?:[ -~]{0,253}[!-~])?$/

const FILTERABLE: Filterable<KeyPairInfo> = {
  fields: {
    'key-pair-id': (pair) => pair.KeyPairId,
    fingerprint: (pair) => pair.KeyFingerprint,
    'key-name': (pair) => pair.KeyName,
  },
  tags: (pair) => pair.Tags,
}

export function keyPairHandlers({
  state,
  randomHex,
}: {
  state: State
  randomHex: RandomHex
}): KeyPairHandlers {
  const keep = keeper(state, randomHex)
  return {
    CreateKeyPair: async (context, input) => {
      const name = nameOf(input.KeyName)
      const type = input.KeyType ?? 'rsa'
      if (type !== 'rsa' && type !== 'ed25519') {
        throw badValue('KeyType', type, 'Expecting rsa or ed25519.')
      }
      const format = input.KeyFormat ?? 'pem'
      if (format !== 'pem' && format !== 'ppk') {
        throw badValue('KeyFormat', format, 'Expecting pem or ppk.')
      }
      // Outside the transaction, which may run more than once.
      const made =
        type === 'rsa'
          ? await newRsaKey(format, name)
          : await newEd25519Key(format, name, randomHex)
      const { KeyType: _, ...shown } = await keep(context, input, made)
      return { ...shown, KeyMaterial: made.privateKey }
    },

    ImportKeyPair: async (context, input) => {
      nameOf(input.KeyName)
      const parsed = parsePublicKey(required('PublicKeyMaterial', input.PublicKeyMaterial))
      if (!parsed.ok) throw new ApiError('InvalidKey.Format', parsed.why)
      const { KeyType: _, ...shown } = await keep(context, input, parsed.value)
      return shown
    },

    DescribeKeyPairs: async ({ caller }, input) => {
      const view = await state.fresh()
      const pairs = askedFor(view, caller.account, input)
      endDryRun(input)
      const shown = pairs.map((pair) => ({
        ...infoOf(view, pair),
        CreateTime: new Date(pair.createdAtMs),
        PublicKey: input.IncludePublicKey === true ? pair.publicKey : undefined,
      }))
      return { KeyPairs: matching<KeyPairInfo>(shown, input.Filters, FILTERABLE) }
    },

    DeleteKeyPair: async ({ caller }, input) => {
      const { KeyName: name, KeyPairId: asked } = input
      if (name === undefined && asked === undefined) required('KeyName', name)
      const deleted = await state.update(async (tx) => {
        const id = asked ?? (await idOfName(tx, caller.account, name ?? ''))
        const pair = id === null ? null : await tx.get('key-pair', id)
        const isTheirs = pair !== null && pair.account === caller.account
        const isMeant = isTheirs && (name === undefined || pair.name === name)
        endDryRun(input)
        if (!isMeant) return null
        await tx.delete('name', ...nameKey(pair.account, pair.name))
        await tx.delete('tags', pair.id)
        await tx.delete('key-pair', pair.id)
        return pair.id
      })
      return { Return: true, KeyPairId: deleted ?? undefined }
    },
  }
}

/** The account's key pair of that name. Throws InvalidKeyPair.NotFound. */
export async function keyPairFor(
  tx: Transaction,
  account: string,
  name: string,
): Promise<KeyPairRecord> {
  const id = await idOfName(tx, account, name)
  const pair = id === null ? null : await tx.get('key-pair', id)
  if (pair === null) throw unknownName(name)
  return pair
}

type Asked = Pick<Ec2Inputs['CreateKeyPair'], 'KeyName' | 'TagSpecifications' | 'DryRun'>

function keeper(
  state: State,
  randomHex: RandomHex,
): (context: CallContext, asked: Asked, key: PublicKey) => Promise<KeyPairInfo> {
  return async ({ caller, nowMs }, asked, key) => {
    const { account } = caller
    const name = nameOf(asked.KeyName)
    const tags = parseTagSpecifications(asked.TagSpecifications, ['key-pair']).get('key-pair')
    const pair = await state.update(async (tx) => {
      if ((await idOfName(tx, account, name)) !== null) {
        const text = `The keypair '${name}' already exists.`
        throw new ApiError('InvalidKeyPair.Duplicate', text)
      }
      await checkQuota(tx, state, account, 'key-pairs')
      endDryRun(asked)
      const id = await newId(tx, randomHex, 'key-pair')
      const record: KeyPairRecord = {
        id,
        account,
        name,
        type: key.type,
        fingerprint: key.fingerprint,
        publicKey: `${key.line} ${key.comment === '' ? name : key.comment}`,
        createdAtMs: nowMs,
      }
      await tx.put('name', nameKey(account, name), { name, holder: id })
      await tx.put('key-pair', [id], record)
      await addTags(tx, { kind: 'key-pair', id, account }, tags ?? new Map())
      return record
    })
    return infoOf(await state.fresh(), pair)
  }
}

function askedFor(
  view: View,
  account: string,
  { KeyNames: names, KeyPairIds: ids }: Ec2Inputs['DescribeKeyPairs'],
): readonly KeyPairRecord[] {
  const all = view.by('key-pair', 'account', account)
  const missing = names?.find((name) => !all.some((pair) => pair.name === name))
  if (missing !== undefined) throw unknownName(missing)
  const byId =
    ids === undefined || ids.length === 0 ? all : namedInView(view, 'key-pair', ids, account)
  return byId.filter((pair) => isAsked(names, pair.name))
}

function infoOf(view: View, pair: KeyPairRecord): KeyPairInfo {
  return {
    KeyPairId: pair.id,
    KeyName: pair.name,
    KeyType: pair.type,
    KeyFingerprint: pair.fingerprint,
    Tags: tagList(view, pair.id),
  }
}

function nameOf(name: string | undefined): string {
  const text = required('KeyName', name)
  if (KEY_NAME.test(text)) return text
  const why = 'A name is 1 to 255 ASCII characters without a space at either end.'
  throw badValue('KeyName', text.slice(0, 300), why)
}

function unknownName(name: string): ApiError {
  return new ApiError('InvalidKeyPair.NotFound', `The key pair '${name}' does not exist`)
}

async function idOfName(tx: Transaction, account: string, name: string): Promise<string | null> {
  return (await tx.get('name', ...nameKey(account, name)))?.holder ?? null
}

/** A name may have a slash: its digest is the key. */
function nameKey(account: string, name: string): [string, string, string] {
  return ['key-pair', account, createHash('sha256').update(name).digest('hex')]
}
