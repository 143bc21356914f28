// A cloud's store, clock and CA, and hosts that ask to join it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { caDigest, certificateRequest, createCa, newKey } from '../../../common/pki.ts'
import { parseToken } from '../../../common/token.ts'
import {
  type MembershipParts,
  mintToken,
  type TokenWish,
} from '../../../gateway/federation/membership.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { type JoinRequest, JoinRequestSchema } from '../../../proto/gen/mallee/v1/membership_pb.js'
import { closeStates, handClock, stateOf } from '../store/states.ts'

export const NOW_MS = Date.UTC(2026, 10, 23, 12)
export const HOUR_MS = 3_600_000

const ca = await createCa({ cloud: 'c1', nowMs: NOW_MS })
/** Certificate requests of different keys. */
export const requests = await Promise.all(
  Array.from({ length: 12 }, async () => certificateRequest((await newKey()).keyPem)),
)

export interface Members {
  readonly dir: string
  readonly clock: ReturnType<typeof handClock>
  readonly parts: MembershipParts
  readonly mint: (wish?: Partial<TokenWish>) => Promise<string>
  /** The request of host `host`, with key number `key`, for the token's rack. */
  readonly asking: (token: string, host: string, key?: number, over?: object) => JoinRequest
  /** `rack/host index roles` of every member. */
  readonly list: () => string[]
  readonly close: () => Promise<void>
}

export async function openMembers(): Promise<Members> {
  const clock = handClock()
  clock.set(NOW_MS)
  const dir = mkdtempSync(join(tmpdir(), 'mallee-membership-'))
  const store = await openSqlite({ file: join(dir, 'store.db'), log: silentLog })
  const state = await stateOf(store)
  await state.update((tx) =>
    tx.put('cloud', ['self'], {
      name: 'c1',
      region: 'mallee-1',
      fabricPrefix: 'fd12:3456:789a::/48',
      ipv6Pool: 'fd77:7777:7700::/40',
      ipv4Pools: ['10.0.0.0/8'],
      createdAtMs: NOW_MS,
    }),
  )
  return {
    dir,
    clock,
    parts: { state, ca, clock, log: silentLog },
    mint: (wish = {}) =>
      mintToken(
        { state, clock, randomHex, caDigest: caDigest(ca.certificatePem) },
        { rack: 'a', roles: ['cc'], ttlMs: HOUR_MS, ...wish },
      ),
    asking: (token, host, key = 0, over = {}) => {
      const { rack, id, secret } = parseToken(token)
      return create(JoinRequestSchema, {
        minProtocol: 1,
        maxProtocol: 1,
        tokenId: id,
        tokenSecret: secret,
        rack,
        host,
        certificateRequest: requests[key] ?? new Uint8Array(),
        agentVersion: '1.0',
        clockMs: BigInt(clock.nowMs()),
        ...over,
      })
    },
    list: () => {
      const hosts = state.view().all('host')
      return hosts.map(({ rack, host, index, roles }) => `${rack}/${host} ${index} ${roles.join()}`)
    },
    close: async () => {
      await closeStates()
      await store.close()
      rmSync(dir, { recursive: true })
    },
  }
}
