// A cloud with many instances, made of one: its records again and again under other names, written
// while no gateway runs. They are of a host that never says anything.

import { MalleeError } from '../common/errors.ts'
import type { InstanceRecord } from '../gateway/store/records.ts'
import type { State } from '../gateway/store/state.ts'

/** Two records for each, and a transaction has its limits. */
const BATCH = 1_000
/** As many as RunInstances answers at most in one reservation here. */
const PER_RESERVATION = 10
const HEX = 16

/** Copies until the account of `id` has `count` instances. Throws NotFound without that one. */
export async function copyInstances(state: State, id: string, count: number): Promise<void> {
  const view = state.view()
  const one = view.get('instance', id)
  if (one === null) throw new MalleeError('NotFound', `there is no instance ${id}`)
  const have = view.instancesOf('account', one.account).length
  for (let from = have; from < count; from += BATCH) {
    const to = Math.min(from + BATCH, count)
    await copyBatch(state, one, { from, to })
  }
}

async function copyBatch(
  state: State,
  one: InstanceRecord,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const cards = state.view().interfacesOf('instance', one.id)
  await state.update(async (tx) => {
    for (let n = from; n < to; n += 1) {
      const id = `i-f${numbered(n)}`
      const interfaces: string[] = []
      for (const card of cards) {
        const copy = `eni-f${numbered(n)}`
        interfaces.push(copy)
        const attachment = `eni-attach-f${numbered(n)}`
        const there = { id: copy, instance: id, attachment, host: NOWHERE }
        await tx.put('interface', [copy], { ...card, ...there })
      }
      const place = { launchIndex: n % PER_RESERVATION, host: NOWHERE }
      const reservation = `r-f${numbered(Math.floor(n / PER_RESERVATION))}`
      await tx.put('instance', [id], { ...one, id, interfaces, reservation, ...place })
    }
  })
}

const NOWHERE = 'nowhere'

function numbered(n: number): string {
  return n.toString(HEX).padStart(HEX, '0')
}
