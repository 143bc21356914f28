// What it costs to take a number: with a thousand others in use, and with a million. The pool's
// records are JSON in a map, as a store has them; disks and networks are bench/store.ts's.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Cidr, mustCidr } from '../topology/cidr.ts'
import {
  ipv4Hosts,
  ipv4Of,
  ipv6Of,
  macOf,
  subnetIpv4,
  subnetIpv6,
  vpcIpv4,
  vpcIpv6,
} from '../topology/plan.ts'
import { EMPTY_POOL, type Freed, type PoolHead, planGive, planTake } from '../topology/pool.ts'
import { ADDRESS_QUARANTINE_MS, type Band, MACS } from '../topology/ranges.ts'
import { type Emit, median } from './harness.ts'

const BENCH = 'allocator'
const FEW = 1000
const MANY = 1_000_000
const ROUNDS = 101
const PER_ROUND = 1000
/** The time of one allocation may not grow; this much is noise of a shared machine. */
const GROWTH_GOAL = 1.3
const IPV4_POOLS = [mustCidr('10.0.0.0/8')]
const IPV6_POOL = mustCidr('fd00::/40')

/** Something to call over and over at a number of live allocations. */
interface Trial {
  readonly once: () => unknown
  /** Brings the number of live allocations back, untimed. */
  readonly reset: () => void
}

export function run(emit: Emit): Promise<void> {
  measure(emit, 'never used number', neverUsed)
  measure(emit, 'reused number', reused)
  measure(emit, 'interface (MAC, IPv4, IPv6)', interfaces)
  memory(emit)
  return Promise.resolve()
}

/** A number nobody had before: the common case. */
function neverUsed(live: number): Trial {
  const store = new Map<string, string>()
  const pool = openPool(store, 'mac', MACS)
  const fill = (): void => {
    for (let n = 0; n < live; n++) pool.take()
  }
  fill()
  const filled = store.get('mac') ?? ''
  return { once: () => pool.take(), reset: () => store.set('mac', filled) }
}

/** Every number of the band was used: each take deletes a slot and each give writes one. */
function reused(live: number): Trial {
  const pool = openPool(new Map(), 'band', { first: 1, last: live + 1, quarantineMs: 0 })
  const held = Float64Array.from({ length: live }, () => pool.take())
  let oldest = 0
  // The one number that is not held, so that there is one to take.
  pool.give(pool.take())
  const once = (): void => {
    const n = pool.take()
    pool.give(held[oldest] ?? 0)
    held[oldest] = n
    oldest = (oldest + 1) % live
  }
  return { once, reset: () => undefined }
}

/** All that an interface gets, as texts. */
function interfaces(live: number): Trial {
  const store = new Map<string, string>()
  let next = allocateInterfaces(store)
  const fill = (): void => {
    for (let n = 0; n < live; n++) next()
  }
  fill()
  const reset = (): void => {
    // A million take seconds, and a few thousand more are a million still.
    if (live > FEW) return
    store.clear()
    next = allocateInterfaces(store)
    fill()
  }
  return { once: () => next(), reset }
}

/** What stays in memory, counted after a collection. */
function memory(emit: Emit): void {
  const line = { bench: BENCH, higher_is_better: false }
  const mac = new Map<string, string>()
  const pool = openPool(mac, 'mac', MACS)
  const held = Float64Array.from({ length: MANY }, () => pool.take())
  const records = mac.size
  emit({
    ...line,
    case: 'records of a pool at 10^6 live',
    unit: 'records',
    value: records,
    goal: 1,
  })
  const resting = growthOf(() => {
    for (const n of held) pool.give(n)
  })
  emit({ ...line, case: 'memory of one number at rest', unit: 'bytes', value: resting / MANY })
  const store = new Map<string, string>()
  const bytes = growthOf(() => {
    const next = allocateInterfaces(store)
    for (let n = 0; n < MANY; n++) next()
  })
  const name = `memory of the ${store.size} pools of 10^6 interfaces`
  emit({ ...line, case: name, unit: 'bytes', value: bytes })
  // Still in use here: the collector must not have had it.
  if (mac.size !== MANY + 1) throw new RangeError(`${mac.size} records are not one per number`)
}

/** Fills one subnet after the other, 16 to a VPC, as default VPCs have them. */
function allocateInterfaces(store: Map<string, string>): () => string {
  const macs = openPool(store, 'mac', MACS)
  let subnet = 0
  let places = openSubnet(store, 0, 0)
  return () => {
    if (places.pool.head().next > places.pool.band.last) {
      subnet += 1
      places = openSubnet(store, Math.floor(subnet / 16), subnet % 16)
    }
    const offset = places.pool.take()
    const ipv4 = ipv4Of(places.cidr4, offset)
    const ipv6 = ipv6Of(places.cidr6, offset)
    return `${macOf(macs.take())} ${ipv4} ${ipv6}`
  }
}

function openSubnet(store: Map<string, string>, vpc: number, n: number) {
  const cidr4 = subnetIpv4([there(vpcIpv4(IPV4_POOLS, vpc))], n)
  const cidr6 = subnetIpv6(there(vpcIpv6(IPV6_POOL, vpc)), n)
  const band = { ...ipv4Hosts(there(cidr4)), quarantineMs: ADDRESS_QUARANTINE_MS }
  return {
    cidr4: there(cidr4),
    cidr6: there(cidr6),
    pool: openPool(store, `ipv4/${vpc}/${n}`, band),
  }
}

/** A pool in a store: what gateway/store does in a transaction, without the transaction. */
function openPool(store: Map<string, string>, name: string, band: Band) {
  const read = <T>(key: string): T | null => {
    const text = store.get(key)
    return text === undefined ? null : (JSON.parse(text) as T)
  }
  const head = (): PoolHead => read<PoolHead>(name) ?? EMPTY_POOL
  return {
    band,
    head,
    take(): number {
      const now = head()
      const oldest =
        now.freedHead === now.freedTail ? null : read<Freed>(`${name}/${now.freedHead}`)
      const taken = planTake(now, band, oldest, 0)
      if (!taken.ok) throw new RangeError(`pool ${name} is exhausted`)
      store.set(name, JSON.stringify(taken.value.head))
      if (taken.value.consumedSlot !== null) store.delete(`${name}/${taken.value.consumedSlot}`)
      return taken.value.n
    },
    give(n: number): void {
      const given = planGive(head(), n, 0)
      store.set(name, JSON.stringify(given.head))
      store.set(`${name}/${given.slot}`, JSON.stringify(given.freed))
    },
  }
}

function there(cidr: Cidr | null): Cidr {
  if (cidr === null) throw new RangeError('the number plan ended')
  return cidr
}

/** In turns, so that a noisy moment of the machine hits both; the first rounds warm up. */
function measure(emit: Emit, name: string, make: (live: number) => Trial): void {
  const trials = [make(FEW), make(MANY)]
  const times = trials.map((): number[] => [])
  for (let round = 0; round < 2 * ROUNDS; round++) {
    for (const [i, trial] of trials.entries()) {
      trial.reset()
      const startedAt = process.hrtime.bigint()
      for (let n = 0; n < PER_ROUND; n++) trial.once()
      const ns = Number(process.hrtime.bigint() - startedAt) / PER_ROUND
      if (round >= ROUNDS) times[i]?.push(ns)
    }
  }
  const [few = 0, many = 0] = times.map(median)
  emit({
    bench: BENCH,
    case: `${name}, at 10^6 live`,
    unit: 'allocations/s',
    value: Math.round(1e9 / many),
    higher_is_better: true,
  })
  emit({
    bench: BENCH,
    case: `time of one ${name}, at 10^6 live`,
    unit: 'ns',
    value: Math.round(many),
    peer: 'the same at 10^3 live',
    peer_value: Math.round(few),
    goal: GROWTH_GOAL,
    higher_is_better: false,
  })
}

function growthOf(fill: () => void): number {
  const before = heapBytes()
  fill()
  return heapBytes() - before
}

/** Bytes in use after a collection. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
