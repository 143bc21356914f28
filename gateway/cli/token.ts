// `mallee token …`: join tokens.

import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { MalleeError } from '../../common/errors.ts'
import type { NewToken, Token } from '../local/tokens.ts'
import type { Role } from '../store/records.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { rackName, tokenName } from './names.ts'

const ROLES = ['cc', 'sc', 'nc'] as const

interface Flags extends LocalFlags {
  readonly rack: string
  readonly roles: readonly Role[]
  readonly minutes: number
  readonly additional: boolean
}

const createTokenCommand = buildCommand<Flags>({
  docs: {
    brief: 'Make a token with which one host can join',
    fullDescription: [
      'Make a token with which one host can join: single use, bound to a rack and roles.',
      'The first host of a rack has the role cc.',
      '',
      'Examples:',
      '  mallee token create --rack a --roles cc,sc,nc',
      '  mallee token create --rack a --roles nc --minutes 1440',
      '  mallee token create --rack a --roles cc --additional',
    ].join('\n'),
  },
  parameters: {
    flags: {
      rack: { kind: 'parsed', ...rackName },
      roles: {
        kind: 'parsed',
        parse: parseRole,
        proposeCompletions: () => ROLES,
        brief: 'Roles of the host: cc, sc, nc',
        placeholder: 'roles',
        variadic: ',',
      },
      minutes: {
        kind: 'parsed',
        parse: numberParser,
        brief: 'Minutes until it expires, 1 to 10080',
        placeholder: 'n',
        default: '60',
      },
      additional: {
        kind: 'boolean',
        brief: 'A CC joins a rack that has one already',
        default: false,
      },
      socket: socketFlag,
      json: jsonFlag,
    },
  },
  func: (flags) => answering(flags.json, () => createToken(flags)),
})

const listTokens = buildCommand<LocalFlags>({
  docs: helped('Join tokens, and who joined with them', 'mallee token list'),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/tokens' } as const
      const { tokens } = await callLocal<{ tokens: readonly Token[] }>(socket, call)
      const rows = tokens.map(({ id, rack, roles, expiresAtMs, used }) => [
        id,
        rack,
        roles.join(','),
        new Date(expiresAtMs).toISOString(),
        used === null ? '' : used.host,
      ])
      print(json, { tokens }, table(['TOKEN', 'RACK', 'ROLES', 'UNTIL', 'USED BY'], rows))
    }),
})

const revokeToken = buildCommand<LocalFlags, [string]>({
  docs: {
    brief: 'End a join token that nobody has used',
    fullDescription: [
      'End a join token that nobody has used. Its id is what `mallee token list` shows, and the',
      'third part of the token.',
      '',
      'Example:',
      '  mallee token revoke 0123456789abcdef',
    ].join('\n'),
  },
  parameters: {
    flags: { socket: socketFlag, json: jsonFlag },
    positional: { kind: 'tuple', parameters: [tokenName] },
  },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      const call = { method: 'DELETE', path: `/v1/tokens/${encodeURIComponent(id)}` } as const
      print(json, await callLocal(socket, call), `${id}: revoked`)
    }),
})

export const tokenRoutes = buildRouteMap({
  routes: { create: createTokenCommand, list: listTokens, revoke: revokeToken },
  docs: { brief: 'Join tokens' },
})

async function createToken(flags: Flags): Promise<void> {
  const { rack, minutes, additional, socket, json } = flags
  const roles = ROLES.filter((role) => flags.roles.includes(role))
  const body = { rack, roles, minutes, ...(additional && { additional }) }
  const answer = await callLocal<NewToken>(socket, { method: 'POST', path: '/v1/tokens', body })
  const until = new Date(answer.expiresAtMs).toISOString()
  const text = `${answer.token}\nValid once, until ${until}. On the host: rack-join TOKEN@GATEWAY`
  print(json, answer, text)
}

function parseRole(text: string): Role {
  const role = ROLES.find((one) => one === text)
  if (role === undefined) {
    throw new MalleeError('BadArgument', `role ${JSON.stringify(text)} is none of cc, sc, nc`)
  }
  return role
}
