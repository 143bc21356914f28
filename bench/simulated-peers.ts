// Peer clouds in this process, without gateways: each has a CA and a key of its own, says its
// statements in real links, signs receipts for what it hears, and negotiates as a cloud does.

import { create, fromBinary } from '@bufbuild/protobuf'
import { randomHex, systemClock } from '../common/clock.ts'
import { silentLog } from '../common/log.ts'
import { createCa } from '../common/pki.ts'
import {
  firstLink,
  hashOf,
  type Link,
  nextEpoch,
  nextLink,
  statementDigest,
  toHex,
} from '../gateway/peering/chain.ts'
import { stated as connectionStated } from '../gateway/peering/connection-statements.ts'
import { type DeliveringParts, deliverStep } from '../gateway/peering/deliver.ts'
import { heard } from '../gateway/peering/heard.ts'
import { DEFAULT_LIMITS, limitsMessage } from '../gateway/peering/limits.ts'
import { advance, type RemoteRecord, renewed, type Step } from '../gateway/peering/negotiation.ts'
import { putPeer } from '../gateway/peering/new-peer.ts'
import { checkReceipt, signReceipt } from '../gateway/peering/receipt.ts'
import type { ChainHead } from '../gateway/store/peer-records.ts'
import type { State } from '../gateway/store/state.ts'
import {
  BatchSchema,
  BorderSchema,
  CloudCardSchema,
  CloudStatementSchema,
  type Connection,
  DeliverRequestSchema,
  DeliverResponseSchema,
  PositionResponseSchema,
  type Statement,
  StatementSchema,
} from '../proto/gen/mallee/v1/peering_pb.js'
import type { TlsIdentity } from '../proto/tls.ts'
import { gatewayIdentity } from '../test/gateway/peering/clouds.ts'

/** The cloud that all of them have agreed with. */
export interface Measured {
  readonly state: State
  readonly uid: string
  readonly identity: TlsIdentity
  readonly ca: string
}

/** Of a VPC there, which is to be connected with one here. */
export interface PeeringWish {
  readonly id: string
  readonly vpc: string
  readonly blocks: readonly string[]
  readonly to: { readonly account: string; readonly vpc: string }
}

const MOST_STEPS = 64
const ACCOUNT = '999900001111'
const EXPIRES_MS = 86_400_000
const KEY_BYTES = 32

export class SimulatedPeer {
  readonly uid: string = randomHex(16)
  readonly #identity: TlsIdentity
  readonly #own = new Map<string, Statement>()
  readonly #given = new Map<string, string>()
  readonly #theirs = new Map<string, Connection>()
  readonly #wishes = new Map<string, RemoteRecord>()
  #head: ChainHead = { epoch: '', sequence: 0, hash: '' }

  private constructor(identity: TlsIdentity) {
    this.#identity = identity
  }

  /** Both have agreed; the other has heard nothing of it yet. */
  static async agree({ state }: Measured, n: number): Promise<SimulatedPeer> {
    const name = `peer-${n}`
    const ca = await createCa({ cloud: name, nowMs: systemClock.nowMs() })
    const peer = new SimulatedPeer(await gatewayIdentity(ca, name))
    const endpoints = [`192.0.2.1:${n}`]
    const region = `far-${n}`
    const bundle = { sequence: 1, certificates: [ca.certificatePem] }
    const other = { uid: peer.uid, name, region, endpoints, usedPrefixes: [], ca: bundle }
    const terms = { name, accounts: null, borders: null, limits: DEFAULT_LIMITS }
    const agreement = { other, terms, theirLimits: DEFAULT_LIMITS, how: 'invited' } as const
    await state.update((tx) => putPeer(state, tx, agreement))
    peer.#say('cloud', 'cloud', {
      value: create(CloudStatementSchema, {
        card: create(CloudCardSchema, {
          ...{ uid: peer.uid, name, region, endpoints, minProtocol: 1, maxProtocol: 1 },
          ca: { sequence: 1n, certificates: [ca.certificatePem] },
        }),
        limits: limitsMessage(DEFAULT_LIMITS),
      }),
    })
    const publicKey = Buffer.alloc(KEY_BYTES, `border ${n} `).toString('base64')
    const place = { rack: 'x', host: 'x1', publicKey, linkAddress: 'fe80::1', up: true }
    const value = create(BorderSchema, { ...place, endpoints: [`192.0.2.1:${52_000 + n}`] })
    peer.#say('border/x/x1', 'border', { value })
    return peer
  }

  ask(to: Measured, { id, vpc, blocks, to: other }: PeeringWish): void {
    const remote = { uid: to.uid, side: 'requester', account: other.account, vpc: other.vpc }
    this.#put({
      ...{ id, requester: { account: ACCOUNT, vpc }, accepter: { account: '', vpc: '' } },
      ...{ state: 'initiating-request', message: '', createdAtMs: 0, endedAtMs: null },
      ...{ requesterDnsResolution: true, accepterDnsResolution: false },
      expiresAtMs: systemClock.nowMs() + EXPIRES_MS,
      remote: {
        ...remote,
        ...{ own: blocks, offers: blocks.map((one) => [one]), seenAs: [], theirs: [], terms: '' },
      },
    } as RemoteRecord)
  }

  end(id: string): void {
    const record = this.#wishes.get(id)
    if (record !== undefined) this.#put({ ...record, state: 'deleted', endedAtMs: 1 })
  }

  /** Says what it has to say, hears what the other has, and goes on. False when nothing is new. */
  async turn(measured: Measured): Promise<boolean> {
    const went = await this.hear(measured)
    for (const record of this.#wishes.values()) this.#negotiate(record)
    return (await this.#tell(measured)) || went
  }

  /** False when the other has nothing to say. */
  async hear({ state, uid }: Measured): Promise<boolean> {
    const connection: DeliveringParts['connection'] = {
      deliver: async (_, bytes) => {
        const batch = fromBinary(BatchSchema, bytes)
        for (const one of batch.statements) this.#took(one)
        const head = {
          ...{ epoch: toHex(batch.epoch), sequence: Number(batch.sequence) },
          hash: hashOf(bytes),
        }
        const between = { from: uid, to: this.uid }
        const receipt = signReceipt(this.#identity, between, head, systemClock.nowMs())
        return create(DeliverResponseSchema, { receipt })
      },
      position: async () => create(PositionResponseSchema, {}),
    }
    const signal = new AbortController().signal
    const parts = { state, gateway: 'g', clock: systemClock, randomHex, connection, signal }
    let went = false
    while ((await deliverStep(parts, this.uid)) === 'went') went = true
    return went
  }

  #took({ key, body }: Statement): void {
    if (body.case === 'connection') this.#theirs.set(body.value.id, body.value)
    else if (key.startsWith('connection/') && body.case === undefined) {
      this.#theirs.delete(key.slice('connection/'.length))
    }
  }

  #negotiate(first: RemoteRecord): void {
    let record = first
    for (let n = 0; n < MOST_STEPS; n += 1) {
      const theirs = this.#theirs.get(record.id) ?? null
      const who = { name: 'measured', ownUid: this.uid }
      const step = advance(record, theirs, who, systemClock.nowMs())
      if (step.kind === 'none') break
      record = after(record, theirs, step)
    }
    if (record !== first) this.#put(record)
  }

  #put(record: RemoteRecord): void {
    this.#wishes.set(record.id, record)
    this.#say(`connection/${record.id}`, 'connection', { value: connectionStated(record) })
  }

  #say(key: string, kind: string, { value }: { readonly value: object }): void {
    const body = { case: kind, value } as Statement['body']
    this.#own.set(key, create(StatementSchema, { key, body }))
  }

  async #tell(measured: Measured): Promise<boolean> {
    const link = this.#next(measured)
    if (link === null) return false
    const { state, uid, identity, ca } = measured
    const parts = { state, clock: systemClock, log: silentLog, identity: () => identity }
    const clockMs = BigInt(systemClock.nowMs())
    const request = create(DeliverRequestSchema, { batch: link.bytes, clockMs })
    const { receipt } = await heard(parts, this.uid, request)
    const signer = { name: 'test', cas: [ca] }
    checkReceipt(receipt, { from: this.uid, to: uid }, link.head, signer)
    this.#head = link.head
    for (const one of fromBinary(BatchSchema, link.bytes).statements) {
      this.#given.set(one.key, statementDigest(one))
    }
    return true
  }

  #next({ uid }: Measured): Link | null {
    const nowMs = systemClock.nowMs()
    const between = { from: this.uid, to: uid, now: this.#own }
    if (this.#head.epoch === '') return firstLink(between, nextEpoch([], nowMs, randomHex), nowMs)
    return nextLink({ ...between, head: this.#head, given: this.#given }, nowMs)
  }
}

/** There everything that is offered is free, and nothing is given back. */
function after(
  record: RemoteRecord,
  said: Connection | null,
  step: Exclude<Step, { kind: 'none' }>,
): RemoteRecord {
  const { remote } = record
  switch (step.kind) {
    case 'put':
    case 'release':
      return step.record
    case 'choose': {
      const theirs = placed(remote.theirs, step.index, step.candidates[0] ?? '')
      return renewed(record, said, { theirs })
    }
    case 'hold':
      return renewed(record, said, { seenAs: placed(remote.seenAs, step.index, step.cidr) })
  }
}

function placed(list: readonly string[], index: number, cidr: string): string[] {
  return [...list.slice(0, index), cidr, ...list.slice(index + 1)]
}
