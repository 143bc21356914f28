// What is kept of peer clouds from one change to the next is what would be made anew, and of whom
// a change is not about nothing has changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../../common/clock.ts'
import { createCa } from '../../../common/pki.ts'
import { statementDigest } from '../../../gateway/peering/chain.ts'
import { concerned } from '../../../gateway/peering/concerned.ts'
import { stated } from '../../../gateway/peering/stated.ts'
import { trafficOf } from '../../../gateway/peering/traffic.ts'
import { MemoryView } from '../../../gateway/store/memory-view.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Change } from '../../../gateway/store/store.ts'
import { someChange } from '../control/changes.ts'
import { PEERED, remotePeering, somePeering, UIDS } from '../control/peer-changes.ts'
import {
  CLOUD,
  changesOf,
  host,
  networkInterface,
  startView,
  subnet,
  vpc,
  type Write,
} from '../control/records.ts'

const ca = await createCa({ cloud: 'test', nowMs: systemClock.nowMs() })
const caBundle = { sequence: 1, certificates: [ca.certificatePem] }
const START: readonly Write[] = [...PEERED, ['cloud/self', { ...CLOUD, caBundle }]]

/** By key, of what is stated to each peer. */
function told(view: View): Map<string, string[]> {
  const digests = (uid: string): string[] =>
    [...stated(view, uid)].map(([key, one]) => `${key} ${statementDigest(one)}`).sort()
  return new Map(view.all('peer').map(({ uid }) => [uid, digests(uid)]))
}

function passing(view: View): unknown[] {
  return [...trafficOf(view).byPeering.values()].map(({ read, ...rest }) => rest)
}

/** The same records in a view that nobody has asked anything. */
function anew(records: ReadonlyMap<string, Change>): MemoryView {
  const view = new MemoryView()
  view.apply([...records.values()], 1)
  return view
}

function keepsUp(start: readonly Write[], steps: readonly (readonly Write[])[]): void {
  const view = startView(...start)
  const records = new Map(recordsOf(start))
  for (const [i, step] of steps.entries()) {
    const before = told(view)
    const changes = changesOf(step, i + 2)
    const applied = view.apply(changes, i + 2)
    for (const one of changes) records.set(one.key, one)
    const [now, fresh] = [told(view), anew(records)]
    assert.deepEqual(now, told(fresh), `stated after ${JSON.stringify(step)}`)
    assert.deepEqual(passing(view), passing(fresh), `passing after ${JSON.stringify(step)}`)
    const uids = new Set(applied.flatMap((change) => concerned(view, change)))
    for (const [uid, digests] of now) {
      if (!uids.has(uid)) assert.deepEqual(digests, before.get(uid), JSON.stringify(step))
    }
  }
}

function recordsOf(start: readonly Write[]): [string, Change][] {
  const view = startView()
  const whole = [...baseOf(view), ...changesOf(start, 1)]
  return whole.map((one) => [one.key, one])
}

/** What startView begins with. */
function baseOf(view: MemoryView): readonly Change[] {
  return new MemoryView().differences(view)
}

/** Of both peers, with prefixes that overlap, and more or fewer of them. */
const someOverlap = fc
  .record({
    number: fc.constantFrom(1, 2),
    id: fc.constantFrom('pcx-5', 'pcx-6', 'pcx-7', 'pcx-8'),
    theirs: fc.subarray(['172.16.80.0/20', '172.16.80.0/24', '172.16.0.0/16', 'fd50::/56']),
    isBelow: fc.boolean(),
  })
  .map(({ number, id, theirs, isBelow }): Write => {
    const [vpc, own] = isBelow ? ['vpc-1', '10.0.0.0/20'] : ['vpc-2', '10.1.0.0/20']
    const one = remotePeering(id, number, vpc, own)
    const remote = { ...one.remote, theirs } as NonNullable<typeof one.remote>
    return [`peering/${id}`, { ...one, remote }]
  })

/** With ids as the other side takes them: what has others is not stated. */
const hex = (n: number): string => String(n).padStart(17, '0')
const VPCS = [`vpc-${hex(1)}`, `vpc-${hex(2)}`] as const
const OWN = ['10.2.0.0/20', '10.3.0.0/20'] as const

const someVpc = fc
  .record({ n: fc.nat(1), enableDnsSupport: fc.boolean(), isThere: fc.boolean() })
  .map(({ n, enableDnsSupport, isThere }): Write => {
    const ipv4Cidrs = [OWN[n] ?? '']
    const record = { ...vpc(VPCS[n] ?? '', 2 + n), ipv4Cidrs, enableDnsSupport }
    return [`vpc/${VPCS[n]}`, isThere ? record : null]
  })

const someStated = fc
  .record({
    n: fc.nat(1),
    id: fc.integer({ min: 1, max: 3 }),
    number: fc.constantFrom(1, 2),
    state: fc.constantFrom('active', 'active', 'provisioning'),
    requesterDnsResolution: fc.boolean(),
    end: fc.nat(5),
  })
  .map(({ n, id, number, state, requesterDnsResolution, end }): Write => {
    const name = `pcx-${hex(id)}`
    const one = remotePeering(`pcx-${id}`, number, VPCS[n] ?? '', OWN[n] ?? '')
    const requester = { account: '111111111111', vpc: VPCS[n] ?? '' }
    const remote = { ...one.remote, account: '222222222222', vpc: `vpc-${hex(9)}` }
    const whole = { ...one, id: name, requester, remote, state, requesterDnsResolution }
    return [`peering/${name}`, end === 0 ? null : whole]
  })

const someCard = fc
  .record({
    n: fc.nat(1),
    id: fc.nat(3),
    last: fc.integer({ min: 4, max: 9 }),
    groups: fc.subarray([`sg-${hex(1)}`, `sg-${hex(2)}`]),
    instance: fc.constantFrom('', 'i-1'),
    hostname: fc.constantFrom('', 'ip-1', 'ip-2'),
    end: fc.nat(5),
  })
  .map(({ n, id, last, groups, instance, hostname, end }): Write => {
    const name = `eni-${hex(id)}`
    const place = { ...subnet('subnet-9', 'a', 1), vpc: VPCS[n] ?? '' }
    const card = { ...networkInterface(name, place, 'a1', 1), ipv4: `10.${2 + n}.0.${last}` }
    const one = { ...card, ipv6: '', securityGroups: groups, instance, hostname }
    return [`interface/${name}`, end === 0 ? null : one]
  })

const someGroup = fc
  .record({ id: fc.nat(2), isThere: fc.boolean(), rules: fc.nat(1) })
  .map(({ id, isThere, rules }): Write => {
    const name = `sg-${hex(id)}`
    const group = { id: name, account: '1', vpc: VPCS[id % 2], name, rules: Array(rules).fill({}) }
    return [`security-group/${name}`, isThere ? group : null]
  })

const someRoles = fc
  .record({ rack: fc.constantFrom('a', 'b'), roles: fc.constantFrom(['cc', 'nc'], ['nc']) })
  .map(({ rack, roles }): Write => {
    const index = rack === 'a' ? 1 : 2
    return [`host/${rack}/${rack}1`, { ...host(rack, `${rack}1`, index, ''), roles }]
  })

test('trafficOf and stated keep up with any change, and concerned names whom it is about', () => {
  const change = fc.oneof(
    { weight: 3, arbitrary: somePeering },
    { weight: 2, arbitrary: someOverlap },
    { weight: 1, arbitrary: someChange },
    ...[someVpc, someStated, someCard, someGroup, someRoles].map((arbitrary) => ({
      ...{ weight: 1, arbitrary },
    })),
  )
  const start = fc.array(change, { maxLength: 40 }).map((more) => [...START, ...more])
  const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 10 })
  fc.assert(fc.property(start, steps, keepsUp), { numRuns: 100 })
})

test('a report of a host, and the change of one peer, leave the others as they are', () => {
  const view = startView(...START)
  const before = trafficOf(view)
  const known = view.get('host', 'b', 'b1')
  assert.ok(known)
  const report = { ...known, status: known.status && { ...known.status, diskGib: 7 } }
  const applied = view.apply(changesOf([['host/b/b1', report]], 2), 2)
  assert.equal(trafficOf(view), before)
  assert.deepEqual(
    applied.flatMap((one) => concerned(view, one)),
    [],
  )

  const ended: Write = ['peering/pcx-5', { ...view.get('peering', 'pcx-5'), state: 'deleted' }]
  const changed = view.apply(changesOf([ended], 3), 3)
  assert.deepEqual([...new Set(changed.flatMap((one) => concerned(view, one)))], [UIDS[0]])
  assert.equal(trafficOf(view).byPeering.get('pcx-7'), before.byPeering.get('pcx-7'))
})
