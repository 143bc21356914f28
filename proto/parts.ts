// Big updates and reports travel in parts that fit a frame, and hold only when all have come.

import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { MalleeError } from '../common/errors.ts'
import { type Resource, ResourceSchema } from './gen/mallee/v1/desired_pb.js'
import { type Status, StatusSchema } from './gen/mallee/v1/observed_pb.js'
import {
  type Delta,
  DeltaSchema,
  type Report,
  ReportSchema,
  type SessionRequest,
  type SessionResponse,
  type Snapshot,
  SnapshotSchema,
} from './gen/mallee/v1/session_pb.js'
import type { DesiredUpdate } from './session.ts'

type UpdateBody = Extract<SessionResponse['body'], { case: 'snapshot' | 'delta' }>
type ReportBody = Extract<SessionRequest['body'], { case: 'report' }>

export const MAX_PART_ITEMS = 500
export const MAX_PART_BYTES = 1 << 20
/** Parts of one message: what a peer can make us keep in memory. */
const MAX_UPDATE_PARTS = 2000
const MAX_REPORT_PARTS = 128

/** The frames of one update, the last one marked. */
export function* updateParts(update: DesiredUpdate): Generator<UpdateBody> {
  const generation = BigInt(update.generation)
  if (update.kind === 'snapshot') {
    for (const { items, last } of split(ResourceSchema, update.resources)) {
      yield {
        case: 'snapshot',
        value: create(SnapshotSchema, { generation, resources: items, last }),
      }
    }
    return
  }
  const step = { fromGeneration: BigInt(update.fromGeneration), generation }
  const removals = [...update.removals]
  for (const { items, last } of split(ResourceSchema, update.upserts)) {
    const more = !last || removals.length > MAX_PART_ITEMS
    const now = last ? removals.splice(0, MAX_PART_ITEMS) : []
    yield delta({ ...step, upserts: items, removals: now, more })
  }
  while (removals.length > 0) {
    const now = removals.splice(0, MAX_PART_ITEMS)
    yield delta({ ...step, removals: now, more: removals.length > 0 })
  }
}

/** The frames of one report. */
export function* reportParts(
  id: bigint,
  full: boolean,
  statuses: readonly Status[],
): Generator<ReportBody> {
  for (const { items, last } of split(StatusSchema, statuses)) {
    yield {
      case: 'report',
      value: create(ReportSchema, { id, full, statuses: items, more: !last }),
    }
  }
}

/** Puts updates together again. Throws BadMessage for parts that do not belong together. */
export class UpdateParts {
  #resources: Resource[] = []
  #removals: string[] = []
  #begun: string | null = null
  #parts = 0

  /** The update when its last part has come, else null. */
  take(body: UpdateBody): DesiredUpdate | null {
    return body.case === 'snapshot' ? this.#snapshot(body.value) : this.#delta(body.value)
  }

  #snapshot({ generation, resources, last }: Snapshot): DesiredUpdate | null {
    this.#continue(`snapshot ${generation}`, last)
    this.#resources.push(...resources)
    if (!last) return null
    const update = { kind: 'snapshot' as const, generation: Number(generation) }
    return { ...update, resources: this.#takeResources() }
  }

  #delta({ fromGeneration, generation, upserts, removals, more }: Delta): DesiredUpdate | null {
    this.#continue(`delta from ${fromGeneration} to ${generation}`, !more)
    this.#resources.push(...upserts)
    this.#removals.push(...removals)
    if (more) return null
    const gone = this.#removals
    this.#removals = []
    return {
      kind: 'delta',
      fromGeneration: Number(fromGeneration),
      generation: Number(generation),
      upserts: this.#takeResources(),
      removals: gone,
    }
  }

  #continue(what: string, last: boolean): void {
    if (this.#begun !== null && this.#begun !== what) {
      throw new MalleeError('BadMessage', `a part of ${what} amid ${this.#begun}`)
    }
    this.#begun = last ? null : what
    this.#parts = counted(this.#parts, last, MAX_UPDATE_PARTS)
  }

  #takeResources(): Resource[] {
    const all = this.#resources
    this.#resources = []
    return all
  }
}

/** Puts reports together again. Throws BadMessage for parts that do not belong together. */
export class ReportParts {
  #statuses: Status[] = []
  #begun: bigint | null = null
  #parts = 0

  take({ id, more, statuses }: Report): readonly Status[] | null {
    if (this.#begun !== null && this.#begun !== id) {
      throw new MalleeError('BadMessage', `a part of report ${id} amid report ${this.#begun}`)
    }
    this.#begun = more ? id : null
    this.#parts = counted(this.#parts, !more, MAX_REPORT_PARTS)
    this.#statuses.push(...statuses)
    if (more) return null
    const all = this.#statuses
    this.#statuses = []
    return all
  }
}

function delta(fields: {
  readonly fromGeneration: bigint
  readonly generation: bigint
  readonly upserts?: Resource[]
  readonly removals: string[]
  readonly more: boolean
}): UpdateBody {
  return { case: 'delta', value: create(DeltaSchema, fields) }
}

/** At least one part, also of nothing. One item that is too big for a part goes alone. */
function* split<D extends DescMessage>(
  schema: D,
  all: readonly MessageShape<D>[],
): Generator<{ items: MessageShape<D>[]; last: boolean }> {
  let items: MessageShape<D>[] = []
  let bytes = 0
  for (const item of all) {
    const size = toBinary(schema, item).length
    if (items.length > 0 && (items.length >= MAX_PART_ITEMS || bytes + size > MAX_PART_BYTES)) {
      yield { items, last: false }
      items = []
      bytes = 0
    }
    items.push(item)
    bytes += size
  }
  yield { items, last: true }
}

/** The parts seen so far, this one included; 0 after the last. Throws BadMessage over `max`. */
function counted(before: number, last: boolean, max: number): number {
  if (before >= max) throw new MalleeError('BadMessage', `one message in more than ${max} parts`)
  return last ? 0 : before + 1
}
