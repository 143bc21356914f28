// Passwords of users for the console: what the account demands of them, and login profiles.

import { type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { IamHandlers } from '../aws/handlers.ts'
import type { LoginProfile, PasswordPolicy, UserRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { checkName } from './checks.ts'
import { change, entity, type IamParts, putEntity } from './entities.ts'
import { alreadyExists, invalid, notThere, unsatisfied } from './errors.ts'
import { userNamed } from './users.ts'

// RFC 7914 with the parameters that OWASP's "Password Storage Cheat Sheet" has for 32 MiB.
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 << 20 } as const
const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)
const HASH_BYTES = 32
const SALT_BYTES = 16
const MAX_PASSWORD = 128
const DEFAULT_POLICY: PasswordPolicy = {
  minimumLength: 8,
  requireSymbols: false,
  requireNumbers: false,
  requireUppercase: false,
  requireLowercase: false,
  allowUsersToChange: true,
}
const SYMBOL = /[!@#$%^&*()_+\-=[\]{}|']/

export function loginHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreateLoginProfile: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('userName', input.UserName)
      const passwordHash = await newHash(randomHex, state.view(), account, input.Password)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        if (user.login !== null) throw alreadyExists('Login Profile for User', name)
        const login: LoginProfile = {
          passwordHash,
          resetRequired: input.PasswordResetRequired ?? false,
          createdAtMs: nowMs,
        }
        await putEntity(tx, 'iam-user', { ...user, login })
        return { LoginProfile: shownLogin(user, login) }
      })
    },

    GetLoginProfile: ({ caller }, input) => {
      const user = userNamed(state.view(), caller, input.UserName)
      return { LoginProfile: shownLogin(user, loginOf(user)) }
    },

    UpdateLoginProfile: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      const { Password: password, PasswordResetRequired: reset } = input
      const passwordHash =
        password === undefined ? null : await newHash(randomHex, state.view(), account, password)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        const before = loginOf(user)
        const login: LoginProfile = {
          ...before,
          resetRequired: reset ?? before.resetRequired,
          ...(passwordHash !== null && { passwordHash }),
        }
        await putEntity(tx, 'iam-user', { ...user, login })
        return {}
      })
    },

    DeleteLoginProfile: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        loginOf(user)
        await putEntity(tx, 'iam-user', { ...user, login: null })
        return {}
      })
    },

    ChangePassword: async ({ caller }, input) => {
      const before = ownLogin(state.view(), caller.userId)
      if (!(await isPassword(input.OldPassword ?? '', before.login.passwordHash))) throw wrong()
      const { account } = caller
      const passwordHash = await newHash(randomHex, state.view(), account, input.NewPassword)
      return await change(state, account, async (tx, view) => {
        const { user, login } = ownLogin(view, caller.userId)
        // Changed since: what was compared is the password no longer.
        if (login.passwordHash !== before.login.passwordHash) throw wrong()
        const changed = { ...login, passwordHash, resetRequired: false }
        await putEntity(tx, 'iam-user', { ...user, login: changed })
        return {}
      })
    },

    UpdateAccountPasswordPolicy: async ({ caller: { account } }, input) => {
      const { MinimumPasswordLength: minimumLength = 6 } = input
      if (minimumLength < 6 || minimumLength > MAX_PASSWORD) {
        const constraint = `have value from 6 to ${MAX_PASSWORD}`
        throw unsatisfied('minimumPasswordLength', String(minimumLength), constraint)
      }
      const unsupported = [...['MaxPasswordAge', 'PasswordReusePrevention', 'HardExpiry']].find(
        (name) => (input as Record<string, unknown>)[name],
      )
      if (unsupported !== undefined) {
        const message = `The parameter ${unsupported} is not supported by this cloud.`
        throw new ApiError('UnsupportedOperation', message)
      }
      const passwordPolicy: PasswordPolicy = {
        minimumLength,
        requireSymbols: input.RequireSymbols ?? false,
        requireNumbers: input.RequireNumbers ?? false,
        requireUppercase: input.RequireUppercaseCharacters ?? false,
        requireLowercase: input.RequireLowercaseCharacters ?? false,
        allowUsersToChange: input.AllowUsersToChangePassword ?? false,
      }
      return await change(state, account, async (tx) => {
        const record = await tx.get('iam-account', account)
        if (record !== null) await tx.put('iam-account', [account], { ...record, passwordPolicy })
        return {}
      })
    },

    GetAccountPasswordPolicy: ({ caller: { account } }) => {
      const policy = state.view().get('iam-account', account)?.passwordPolicy ?? null
      if (policy === null) throw noPolicy(account)
      return {
        PasswordPolicy: {
          MinimumPasswordLength: policy.minimumLength,
          RequireSymbols: policy.requireSymbols,
          RequireNumbers: policy.requireNumbers,
          RequireUppercaseCharacters: policy.requireUppercase,
          RequireLowercaseCharacters: policy.requireLowercase,
          AllowUsersToChangePassword: policy.allowUsersToChange,
          ExpirePasswords: false,
        },
      }
    },

    DeleteAccountPasswordPolicy: async ({ caller: { account } }) =>
      await change(state, account, async (tx) => {
        const record = await tx.get('iam-account', account)
        if (record === null || record.passwordPolicy === null) throw noPolicy(account)
        await tx.put('iam-account', [account], { ...record, passwordPolicy: null })
        return {}
      }),
  }
}

function ownLogin(view: View, userId: string): { user: UserRecord; login: LoginProfile } {
  const [user] = view.by('iam-user', 'id', userId)
  if (user !== undefined) return { user, login: loginOf(user) }
  throw new ApiError('InvalidUserType', 'Only IAM Users can change their own password.')
}

function wrong(): ApiError {
  return new ApiError('AccessDenied', 'The old password was incorrect.', 403)
}

/** Takes the same time for every wrong password. */
async function isPassword(password: string, hash: string): Promise<boolean> {
  const [kind, n, r, p, salt = '', want = ''] = hash.split('$')
  if (kind !== 'scrypt') return false
  const cost = { N: Number(n), r: Number(r), p: Number(p), maxmem: COST.maxmem }
  const wanted = Buffer.from(want, 'base64')
  const salted = Buffer.from(salt, 'base64')
  const got = await derive(password.normalize(), salted, wanted.length, cost)
  return timingSafeEqual(got, wanted)
}

async function newHash(
  randomHex: RandomHex,
  view: View,
  account: string,
  password: string | undefined,
): Promise<string> {
  if (password === undefined) throw invalid('The request must contain the parameter Password')
  checkPassword(view.get('iam-account', account)?.passwordPolicy ?? DEFAULT_POLICY, password)
  const salt = Buffer.from(randomHex(SALT_BYTES), 'hex')
  const hash = await derive(password.normalize(), salt, HASH_BYTES, COST)
  const { N, r, p } = COST
  return ['scrypt', N, r, p, salt.toString('base64'), hash.toString('base64')].join('$')
}

function checkPassword(policy: PasswordPolicy, password: string): void {
  const demands: readonly (readonly [boolean, string])[] = [
    [password.length >= policy.minimumLength, `minimum length of ${policy.minimumLength}`],
    [password.length <= MAX_PASSWORD, `maximum length of ${MAX_PASSWORD}`],
    [!policy.requireSymbols || SYMBOL.test(password), 'a symbol'],
    [!policy.requireNumbers || /\d/.test(password), 'a number'],
    [!policy.requireUppercase || /[A-Z]/.test(password), 'an uppercase character'],
    [!policy.requireLowercase || /[a-z]/.test(password), 'a lowercase character'],
  ]
  const missing = demands.find(([isMet]) => !isMet)
  if (missing === undefined) return
  const message = `Password does not conform to the account password policy: ${missing[1]}`
  throw new ApiError('PasswordPolicyViolation', message)
}

function loginOf({ login, name }: UserRecord): LoginProfile {
  if (login !== null) return login
  throw notThere(`Login Profile for User ${name} cannot be found.`)
}

function shownLogin(
  { name }: UserRecord,
  { createdAtMs, resetRequired }: LoginProfile,
): { UserName: string; CreateDate: Date; PasswordResetRequired: boolean } {
  return {
    UserName: name,
    CreateDate: new Date(createdAtMs),
    PasswordResetRequired: resetRequired,
  }
}

function noPolicy(account: string): ApiError {
  return notThere(`The Password Policy with domain name ${account} cannot be found.`)
}
