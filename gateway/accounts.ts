// Accounts and their access keys, as operators make them: each account has its own default VPC.

import type { Clock, RandomHex } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { createAccessKey } from './access-keys.ts'
import { ensureDefaultNetworks } from './ec2/networks.ts'
import type { Sealer } from './secrets.ts'
import type { AccessKeyRecord, AccountRecord } from './store/records.ts'
import type { State, Transaction } from './store/state.ts'

export interface AccountParts {
  readonly state: State
  readonly sealer: Sealer
  readonly clock: Clock
  readonly randomHex: RandomHex
}

export interface NewKey {
  readonly account: string
  readonly accessKeyId: string
  /** Shown once. */
  readonly secretAccessKey: string
}

const ACCOUNT_DIGITS = 12
/** As IAM allows a user (AWS, "IAM and AWS STS quotas"). */
const MAX_KEYS = 2
const NEW_ID_TRIES = 5

/** An account with its first key. Throws BadArgument for the name, NameTaken when it has one. */
export async function createAccount(parts: AccountParts, name: string): Promise<NewKey> {
  checkName(name)
  const { state, clock, randomHex } = parts
  return state.update(async (tx) => {
    const key = await putAccount(tx, parts, name)
    await ensureDefaultNetworks(tx, state, key.account, { nowMs: clock.nowMs(), randomHex })
    return key
  })
}

/** A new account and its key, without a default VPC yet. */
export async function putAccount(
  tx: Transaction,
  { sealer, clock, randomHex }: Pick<AccountParts, 'sealer' | 'clock' | 'randomHex'>,
  name: string,
): Promise<NewKey> {
  const nowMs = clock.nowMs()
  if ((await tx.get('name', 'account', name)) !== null) throw nameTaken(name)
  const id = await newAccountId(tx, randomHex)
  const key = createAccessKey({ sealer, randomHex, nowMs }, id)
  await tx.put('name', ['account', name], { name, holder: id })
  await tx.put('account', [id], { id, name, createdAtMs: nowMs })
  await tx.put('access-key', [key.record.id], key.record)
  return { account: id, accessKeyId: key.record.id, secretAccessKey: key.secret }
}

export interface AccountChange {
  readonly name?: string
  /** All calls of a blocked account are refused; what it has goes on. */
  readonly isBlocked?: boolean
}

/** Throws NotFound, BadArgument for the name, NameTaken when another account has it. */
export async function changeAccount(
  { state, clock }: Pick<AccountParts, 'state' | 'clock'>,
  id: string,
  { name, isBlocked }: AccountChange,
): Promise<void> {
  if (name !== undefined) checkName(name)
  await state.update(async (tx) => {
    const { blockedAtMs, ...record } = await accountIn(tx, id)
    if (name !== undefined && name !== record.name) await rename(tx, record, name)
    const next = { ...record, name: name ?? record.name }
    const blocked = { ...next, blockedAtMs: blockedAtMs ?? clock.nowMs() }
    await tx.put('account', [id], (isBlocked ?? blockedAtMs !== undefined) ? blocked : next)
  })
}

async function rename(tx: Transaction, { id, name }: AccountRecord, to: string): Promise<void> {
  if ((await tx.get('name', 'account', to)) !== null) throw nameTaken(to)
  await tx.delete('name', 'account', name)
  await tx.put('name', ['account', to], { name: to, holder: id })
}

/** One more key. Throws NotFound for the account, Conflict when it has two. */
export async function createKey(parts: AccountParts, account: string): Promise<NewKey> {
  const { state, sealer, clock, randomHex } = parts
  const key = createAccessKey({ sealer, randomHex, nowMs: clock.nowMs() }, account)
  await state.update(async (tx) => {
    const record = await accountIn(tx, account)
    // Written again: two keys that are made at once must see each other.
    await tx.put('account', [account], record)
    const keys = keysOf(await state.fresh(), account)
    if (keys.length >= MAX_KEYS) {
      const sentence = `account ${account} has ${keys.length} access keys, delete one first`
      throw new MalleeError('Conflict', sentence)
    }
    await tx.put('access-key', [key.record.id], key.record)
  })
  return { account, accessKeyId: key.record.id, secretAccessKey: key.secret }
}

/** Ends a key; signatures with it are refused from now on. Throws NotFound. */
export async function deleteKey(state: State, account: string, id: string): Promise<void> {
  await state.update(async (tx) => {
    await keyIn(tx, account, id)
    await tx.delete('access-key', id)
  })
}

/** Those of the account itself, not of its users. */
export function keysOf(view: ReturnType<State['view']>, account: string): AccessKeyRecord[] {
  return view.by('access-key', 'account', account).filter((key) => key.user === undefined)
}

/** An inactive key signs nothing until it is active again. Throws NotFound. */
export async function setKeyStatus(
  state: State,
  account: string,
  id: string,
  status: AccessKeyRecord['status'],
): Promise<AccessKeyRecord> {
  return await state.update(async (tx) => {
    const next = { ...(await keyIn(tx, account, id)), status }
    await tx.put('access-key', [id], next)
    return next
  })
}

async function keyIn(tx: Transaction, account: string, id: string): Promise<AccessKeyRecord> {
  const key = await tx.get('access-key', id)
  if (key?.account === account && key.user === undefined) return key
  throw new MalleeError('NotFound', `account ${account} has no access key ${id}`)
}

function checkName(name: string): void {
  if (/^[\w+=,.@-]{1,64}$/.test(name)) return
  const fits = '1 to 64 letters, digits and any of _+=,.@-'
  throw new MalleeError('BadArgument', `account name ${JSON.stringify(name)} is not ${fits}`)
}

function nameTaken(name: string): MalleeError {
  return new MalleeError('NameTaken', `there is an account named ${name}`)
}

async function accountIn(tx: Transaction, id: string): Promise<AccountRecord> {
  const record = await tx.get('account', id)
  if (record === null) throw new MalleeError('NotFound', `there is no account ${id}`)
  return record
}

async function newAccountId(tx: Transaction, randomHex: RandomHex): Promise<string> {
  for (let tries = 0; tries < NEW_ID_TRIES; tries += 1) {
    const id = accountNumber(randomHex)
    if ((await tx.get('account', id)) === null) return id
  }
  throw new MalleeError('Conflict', `${NEW_ID_TRIES} random account numbers were all taken`)
}

/** Twelve decimal digits, the first not 0, as AWS account ids are. */
function accountNumber(randomHex: RandomHex): string {
  const span = 9n * 10n ** BigInt(ACCOUNT_DIGITS - 1)
  return String((BigInt(`0x${randomHex(12)}`) % span) + span / 9n)
}
