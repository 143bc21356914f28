// A cloud with many instances, made of one: its records again and again under other names, written
// while no gateway runs. They are of a host that never says anything.

import { MalleeError } from '../common/errors.ts'
import type { InstanceRecord, InterfaceRecord } from '../gateway/store/records.ts'
import type { State } from '../gateway/store/state.ts'

/** Two records for each, and a transaction has its limits. */
const BATCH = 1_000
/** As many as RunInstances answers at most in one reservation here. */
const PER_RESERVATION = 10
const HEX = 16

/** An instance with its interfaces. */
export interface Model {
  readonly instance: InstanceRecord
  readonly cards: readonly InterfaceRecord[]
}

/** Throws NotFound. */
export function modelOf(state: State, id: string): Model {
  const instance = state.view().get('instance', id)
  if (instance === null) throw new MalleeError('NotFound', `there is no instance ${id}`)
  return { instance, cards: state.view().interfacesOf('instance', id) }
}

/** Gives an account `count` copies. Returns the id of one in the middle. */
export async function copyInstances(
  state: State,
  model: Model,
  { account, count }: { readonly account: string; readonly count: number },
): Promise<string> {
  for (let from = 0; from < count; from += BATCH) {
    const to = Math.min(from + BATCH, count)
    await copyBatch(state, model, { account, from, to })
  }
  return instanceId(count >>> 1)
}

async function copyBatch(
  state: State,
  { instance, cards }: Model,
  { account, from, to }: { readonly account: string; readonly from: number; readonly to: number },
): Promise<void> {
  await state.update(async (tx) => {
    for (let n = from; n < to; n += 1) {
      const id = instanceId(n)
      const interfaces: string[] = []
      for (const card of cards) {
        const copy = `eni-f${numbered(n)}`
        interfaces.push(copy)
        const attachment = `eni-attach-f${numbered(n)}`
        const there = { id: copy, account, instance: id, attachment, host: NOWHERE }
        await tx.put('interface', [copy], { ...card, ...there })
      }
      const place = { launchIndex: n % PER_RESERVATION, host: NOWHERE }
      const reservation = `r-f${numbered(Math.floor(n / PER_RESERVATION))}`
      const copy = { ...instance, id, account, interfaces, reservation, ...place }
      await tx.put('instance', [id], copy)
    }
  })
}

function instanceId(n: number): string {
  return `i-f${numbered(n)}`
}

const NOWHERE = 'nowhere'

function numbered(n: number): string {
  return n.toString(HEX).padStart(HEX, '0')
}
