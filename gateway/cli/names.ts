// Parameters that name something in the cloud, and how a shell completes them: with what the
// gateway on this machine has. Silent when none answers soon.

import type { CommandContext } from '@stricli/core'
import type { CompletingContext } from '../../common/cli.ts'
import { DEFAULT_SOCKET } from '../files.ts'
import { callLocal } from './client.ts'

const LIMIT_MS = 1_000
const SOCKET_FLAG = '--socket'

/** What a name may be looked up by: the arguments before it, without flags. */
type Look = (get: <T>(path: string) => Promise<T>, before: readonly string[]) => Promise<string[]>

interface Status {
  readonly racks: readonly { readonly name: string; readonly hosts: readonly { host: string }[] }[]
}

export interface NameParameter {
  readonly brief: string
  readonly placeholder: string
  readonly parse: (text: string) => string
  readonly proposeCompletions: (this: CommandContext) => Promise<readonly string[]>
}

function named(placeholder: string, brief: string, look: Look): NameParameter {
  return {
    brief,
    placeholder,
    parse: String,
    async proposeCompletions(this: CommandContext): Promise<readonly string[]> {
      const { words } = this as CompletingContext
      const at = words.indexOf(SOCKET_FLAG)
      const socket = at < 0 ? DEFAULT_SOCKET : (words[at + 1] ?? DEFAULT_SOCKET)
      const before = words
        .slice(0, -1)
        .filter((word, i) => !word.startsWith('-') && words[i - 1] !== SOCKET_FLAG)
      const get = <T>(path: string): Promise<T> =>
        callLocal<T>(socket, { method: 'GET', path, timeoutMs: LIMIT_MS })
      return look(get, before).catch(() => [])
    },
  }
}

export const rackName = named('rack', 'Name of the rack', async (get) =>
  (await get<Status>('/v1/status')).racks.map(({ name }) => name),
)

/** Of the rack that is the argument before. */
export const hostName = named('host', 'Name of the host', async (get, before) => {
  const { racks } = await get<Status>('/v1/status')
  return racks.find(({ name }) => name === before.at(-1))?.hosts.map(({ host }) => host) ?? []
})

export const accountName = named('account', 'Twelve digits of the account', async (get) =>
  (await get<{ accounts: { id: string }[] }>('/v1/accounts')).accounts.map(({ id }) => id),
)

/** Of the account that is the argument before. */
export const keyName = named('key', 'Id of the key', async (get, before) => {
  const path = `/v1/accounts/${encodeURIComponent(before.at(-1) ?? '')}/keys`
  return (await get<{ keys: { id: string }[] }>(path)).keys.map(({ id }) => id)
})

export const quotaName = named(
  'name',
  'Name of the quota, as AWS Service Quotas has it, or its short one',
  async (get, before) => {
    const path = `/v1/accounts/${encodeURIComponent(before.at(-1) ?? '')}/quotas`
    return (await get<{ quotas: { id: string }[] }>(path)).quotas.map(({ id }) => id)
  },
)

export const typeName = named('name', 'Family, dot, size: t3.nano', async (get) =>
  (await get<{ types: { name: string }[] }>('/v1/types')).types.map(({ name }) => name),
)

export const bucketName = named('name', 'Name of the bucket', async (get) =>
  (await get<{ buckets: { name: string }[] }>('/v1/buckets')).buckets.map(({ name }) => name),
)

export const targetName = named('name', 'Name of the target', async (get) =>
  (await get<{ targets: { name: string }[] }>('/v1/event-targets')).targets.map(({ name }) => name),
)

export const poolName = named('id', 'Id of the pool', async (get) =>
  (await get<{ pools: { id: string }[] }>('/v1/pools')).pools.map(({ id }) => id),
)

export const volumeName = named('id', 'Id of the volume', async (get) =>
  (await get<{ volumes: { id: string }[] }>('/v1/volumes')).volumes.map(({ id }) => id),
)

export const peerName = named('name', 'What the peer cloud is called here', async (get) =>
  (await get<{ peers: { name: string }[] }>('/v1/peers')).peers.map(({ name }) => name),
)

/** Invitations that nobody has accepted yet. */
export const peerInvitationName = named('id', 'Id of the invitation', async (get) => {
  const path = '/v1/peer-invitations'
  const { invitations } = await get<{ invitations: { id: string; usedBy: unknown }[] }>(path)
  return invitations.filter(({ usedBy }) => usedBy === null).map(({ id }) => id)
})

/** Join tokens that nobody has used yet. */
export const tokenName = named('id', 'Id of the token', async (get) => {
  const { tokens } = await get<{ tokens: { id: string; used: object | null }[] }>('/v1/tokens')
  return tokens.filter(({ used }) => used === null).map(({ id }) => id)
})

export const imageName = named('name', 'Name or digest of the file', async (get) =>
  (await get<{ blobs: { names: string[] }[] }>('/v1/blobs')).blobs.flatMap(({ names }) => names),
)
