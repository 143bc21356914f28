// Two clouds that have agreed to connect, each with a store of its own; what they state is carried
// from one to the other as the test says.

import { toJson } from '@bufbuild/protobuf'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { connectionStatements } from '../../../gateway/peering/connection-statements.ts'
import { tendConnections } from '../../../gateway/peering/connections.ts'
import type { PeerLimitsRecord, PeerRecord } from '../../../gateway/store/peer-records.ts'
import { StatementSchema } from '../../../proto/gen/mallee/v1/peering_pb.js'
import type { Ending } from '../../support/cloud.ts'
import { type Cloud, type CloudOptions, openCloud } from '../ec2/support.ts'

export const UIDS = { a: 'a'.repeat(32), b: 'b'.repeat(32) } as const

export const LIMITS: PeerLimitsRecord = {
  maxConnections: 10,
  maxPrefixes: 50,
  bandwidth: 0,
  expiresAtMs: 0,
  acceptedPrefixes: [],
}

export interface Side {
  readonly cloud: Cloud
  readonly uid: string
  readonly other: string
}

export interface TwoClouds {
  readonly a: Side
  readonly b: Side
  /** Both state, hear and act until nothing changes any more. */
  readonly settle: () => Promise<void>
}

export async function openTwoClouds(t: Ending, options: CloudOptions = {}): Promise<TwoClouds> {
  const [a, b] = await Promise.all([
    openSide(t, UIDS.a, UIDS.b, options),
    openSide(t, UIDS.b, UIDS.a, options),
  ])
  return {
    a,
    b,
    settle: async () => {
      let [before, now] = ['', await textOf(a, b)]
      while (before !== now) {
        for (const [from, to] of [
          [a, b],
          [b, a],
        ] as const) {
          await carry(from, to)
          await act(to)
        }
        before = now
        now = await textOf(a, b)
      }
    },
  }
}

/** What one side states now is what the other holds of it. */
export async function carry(from: Side, to: Side): Promise<void> {
  const stated = connectionStatements(await from.cloud.state.fresh(), from.other)
  const wanted = new Map(stated.map((one) => [one.key, toJson(StatementSchema, one)]))
  await to.cloud.state.update(async (tx) => {
    const view = await to.cloud.state.fresh()
    for (const { key } of view.withPrefix('peer-statement', `${from.uid}/`)) {
      if (!wanted.has(key)) await tx.delete('peer-statement', from.uid, ...key.split('/'))
    }
    for (const [key, statement] of wanted) {
      const record = { uid: from.uid, epoch: '', key, statement }
      await tx.put('peer-statement', [from.uid, ...key.split('/')], record)
    }
  })
}

export async function act({ cloud: { state } }: Side): Promise<void> {
  await tendConnections({ state, clock: systemClock, chance: () => 0, log: silentLog })
}

async function textOf(...sides: readonly Side[]): Promise<string> {
  const views = await Promise.all(sides.map(({ cloud }) => cloud.state.fresh()))
  return JSON.stringify(views.map((view) => [view.all('peering'), view.all('peer-statement')]))
}

async function openSide(
  t: Ending,
  uid: string,
  other: string,
  options: CloudOptions,
): Promise<Side> {
  const cloud = await openCloud(t, { racks: ['a'], ...options })
  await cloud.state.update(async (tx) => {
    const self = await tx.get('cloud', 'self')
    if (self !== null) await tx.put('cloud', ['self'], { ...self, uid })
    await tx.put('peer', [other], peerRecord(other))
  })
  return { cloud, uid, other }
}

/** An agreement with limits that no test reaches by chance. */
export function peerRecord(uid: string, fields: Partial<PeerRecord> = {}): PeerRecord {
  const head = { epoch: '', sequence: 0, hash: '' }
  return {
    uid,
    number: 1,
    terms: { name: 'other', accounts: null, borders: null, limits: LIMITS },
    region: 'other-1',
    state: 'active',
    ca: { sequence: 1, certificates: [] },
    card: {
      ...{ name: 'other', region: 'mallee-1', endpoints: [], usedPrefixes: ['10.0.0.0/8'] },
      ...{ limits: LIMITS, suspended: false },
    },
    stated: head,
    heard: head,
    audit: { sequence: 0, hash: '' },
    heardAtMs: 0,
    createdAtMs: 0,
    ...fields,
  }
}
