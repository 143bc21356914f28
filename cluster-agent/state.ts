// What an agent keeps: the desired state it last accepted, with its generation, and the nodes it
// knew. SQLite, so that a change costs what it changes and survives the power going out. It starts
// from here after a reboot with nobody reachable.

import { chmodSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { MalleeError } from '../common/errors.ts'
import { type Resource, ResourceSchema } from '../proto/gen/mallee/v1/desired_pb.js'
import { type HostStatus, HostStatusSchema } from '../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../proto/resources.ts'
import type { DesiredUpdate } from '../proto/session.ts'

const SCHEMA_VERSION = 1
/** Removed keys that a node's delta can still be made from. */
const MAX_TOMBSTONES = 10_000

export interface Held {
  readonly epoch: string
  readonly generation: number
}

/** What changed after a generation; null when that is too long ago to say. */
export interface ChangedSince {
  readonly upserts: readonly Resource[]
  readonly removals: readonly string[]
}

export interface Accepted {
  /** What was held before; null when there was nothing, or another epoch's. */
  readonly from: number | null
  readonly generation: number
  /** False when nothing is to be made of it. */
  readonly isNews: boolean
}

export class AgentState {
  readonly #db: DatabaseSync
  readonly #desired = new Map<string, Resource>()
  readonly #generations = new Map<string, number>()
  readonly #tombstones = new Map<string, number>()
  readonly #listeners = new Set<(accepted: Accepted) => void>()
  #held: Held | null = null
  #floor = 0

  /** Opens or makes the file. Throws BadConfig when a newer agent wrote it. */
  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    this.#db = new DatabaseSync(file, { timeout: 5_000 })
    // It has secrets: keys of tunnels, credentials of instances. The log beside it gets its mode.
    chmodSync(file, 0o600)
    this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
    this.#migrate(file)
    this.#load()
  }

  /** Null until a whole desired state was accepted once: then nothing may be removed. */
  held(): Held | null {
    return this.#held
  }

  desired(): Desired {
    return this.#desired
  }

  /** Called after each accepted update. Returns the function that ends it. */
  onAccept(listener: (accepted: Accepted) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Stores an update; returns when it is on disk. Throws StaleGeneration for a snapshot older than
   * what is held, or a delta that does not start at what is held.
   */
  accept(epoch: string, update: DesiredUpdate): void {
    this.#refuseStale(epoch, update)
    const { upserts, removals } = this.#differences(update)
    const { generation } = update
    this.#transaction(() => {
      for (const [key, body] of upserts) {
        this.#run('INSERT OR REPLACE INTO resource VALUES (?, ?, ?)', key, body.bytes, generation)
        this.#run('DELETE FROM tombstone WHERE key = ?', key)
      }
      for (const key of removals) {
        this.#run('DELETE FROM resource WHERE key = ?', key)
        this.#run('INSERT OR REPLACE INTO tombstone VALUES (?, ?)', key, generation)
      }
      const floor = update.kind === 'snapshot' && epoch !== this.#held?.epoch ? generation : null
      this.#run('UPDATE held SET epoch = ?, generation = ?', epoch, generation)
      if (floor !== null) this.#run('UPDATE held SET floor = ?', floor)
      this.#dropOldTombstones()
    })
    for (const [key, { resource }] of upserts) {
      this.#desired.set(key, resource)
      this.#generations.set(key, generation)
      this.#tombstones.delete(key)
    }
    for (const key of removals) {
      this.#desired.delete(key)
      this.#generations.delete(key)
      this.#tombstones.set(key, generation)
    }
    const from = epoch === this.#held?.epoch ? this.#held.generation : null
    if (update.kind === 'snapshot' && from === null) this.#floor = generation
    this.#held = { epoch, generation }
    const isNews = from === null || upserts.size + removals.length > 0
    for (const listener of this.#listeners) listener({ from, generation, isNews })
  }

  /** For the deltas of a node that holds `from`. */
  changedSince(from: Held): ChangedSince | null {
    if (this.#held === null || from.epoch !== this.#held.epoch) return null
    if (from.generation < this.#floor || from.generation > this.#held.generation) return null
    const upserts: Resource[] = []
    for (const [key, generation] of this.#generations) {
      const one = generation > from.generation ? this.#desired.get(key) : undefined
      if (one !== undefined) upserts.push(one)
    }
    const removals = [...this.#tombstones].filter(([, at]) => at > from.generation)
    return { upserts, removals: removals.map(([key]) => key) }
  }

  /** The nodes that this CC has ever heard, as they last were. */
  nodes(): HostStatus[] {
    const rows = this.#db.prepare('SELECT body FROM node ORDER BY host').all()
    return rows.map((row) => fromBinary(HostStatusSchema, row['body'] as Uint8Array))
  }

  keepNode(status: HostStatus): void {
    const bytes = toBinary(HostStatusSchema, status)
    this.#run('INSERT OR REPLACE INTO node VALUES (?, ?)', status.host, bytes)
  }

  forgetNode(host: string): void {
    this.#run('DELETE FROM node WHERE host = ?', host)
  }

  close(): void {
    this.#db.close()
  }

  #refuseStale(epoch: string, update: DesiredUpdate): void {
    const held = this.#held
    const same = held !== null && held.epoch === epoch
    if (update.kind === 'snapshot') {
      if (!same || update.generation >= held.generation) return
    } else if (same && update.fromGeneration === held.generation) return
    const offered =
      update.kind === 'snapshot'
        ? `generation ${update.generation}`
        : `a delta from generation ${update.fromGeneration}`
    const have = held === null ? 'nothing' : `generation ${held.generation} of epoch ${held.epoch}`
    throw new MalleeError('StaleGeneration', `${offered} of epoch ${epoch} does not fit ${have}`)
  }

  #differences(update: DesiredUpdate): {
    upserts: Map<string, { resource: Resource; bytes: Uint8Array }>
    removals: string[]
  } {
    const offered = update.kind === 'snapshot' ? update.resources : update.upserts
    const upserts = new Map<string, { resource: Resource; bytes: Uint8Array }>()
    for (const resource of offered) {
      const bytes = toBinary(ResourceSchema, resource)
      const known = this.#desired.get(resource.key)
      if (known !== undefined && sameBytes(toBinary(ResourceSchema, known), bytes)) continue
      upserts.set(resource.key, { resource, bytes })
    }
    if (update.kind === 'delta') {
      return { upserts, removals: update.removals.filter((key) => this.#desired.has(key)) }
    }
    const named = new Set(offered.map((resource) => resource.key))
    return { upserts, removals: [...this.#desired.keys()].filter((key) => !named.has(key)) }
  }

  #dropOldTombstones(): void {
    const excess = this.#tombstones.size - MAX_TOMBSTONES
    if (excess <= 0) return
    const oldest = [...this.#tombstones].sort(([, a], [, b]) => a - b).slice(0, excess)
    this.#floor = oldest.at(-1)?.[1] ?? this.#floor
    this.#run('UPDATE held SET floor = ?', this.#floor)
    for (const [key] of oldest) {
      this.#tombstones.delete(key)
      this.#run('DELETE FROM tombstone WHERE key = ?', key)
    }
  }

  #migrate(file: string): void {
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > SCHEMA_VERSION) {
      throw new MalleeError('BadConfig', `${file} was written by a newer agent (${version})`)
    }
    if (version === SCHEMA_VERSION) return
    this.#transaction(() =>
      this.#db.exec(`
        CREATE TABLE resource (key TEXT PRIMARY KEY, body BLOB NOT NULL,
          generation INTEGER NOT NULL) WITHOUT ROWID, STRICT;
        CREATE TABLE tombstone (key TEXT PRIMARY KEY, generation INTEGER NOT NULL)
          WITHOUT ROWID, STRICT;
        CREATE TABLE node (host TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID, STRICT;
        CREATE TABLE held (epoch TEXT NOT NULL, generation INTEGER NOT NULL, floor INTEGER NOT NULL)
          STRICT;
        INSERT INTO held VALUES ('', 0, 0);
        PRAGMA user_version = ${SCHEMA_VERSION};`),
    )
  }

  #load(): void {
    const held = this.#db.prepare('SELECT epoch, generation, floor FROM held').get()
    if (held !== undefined && held['epoch'] !== '') {
      this.#held = { epoch: String(held['epoch']), generation: Number(held['generation']) }
      this.#floor = Number(held['floor'])
    }
    for (const row of this.#db.prepare('SELECT key, body, generation FROM resource').all()) {
      const key = String(row['key'])
      this.#desired.set(key, fromBinary(ResourceSchema, row['body'] as Uint8Array))
      this.#generations.set(key, Number(row['generation']))
    }
    for (const row of this.#db.prepare('SELECT key, generation FROM tombstone').all()) {
      this.#tombstones.set(String(row['key']), Number(row['generation']))
    }
  }

  #run(sql: string, ...values: (string | number | Uint8Array)[]): void {
    this.#db.prepare(sql).run(...values)
  }

  #transaction(body: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      body()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
