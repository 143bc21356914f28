// Listings shared within a pass: once, until something may have changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedReads } from '../../../cluster-agent/host/shared-reads.ts'
import type { Exec } from '../../../common/exec.ts'

const LINKS = ['ip', '-json', 'address', 'show']
const RULES = ['ip', '-4', '-json', 'rule', 'show']
const PORTS = ['ovs-vsctl', '--db=unix:x', '--format=json', '--', 'list', 'Port']

/** Answers how many commands ran so far. */
function counting(): { exec: Exec; ran: string[] } {
  const ran: string[] = []
  const exec: Exec = async (argv) => {
    ran.push(argv.join(' '))
    if (argv.includes('fails')) throw new Error('as told')
    return { stdout: String(ran.length), stderr: '', code: 0 }
  }
  return { exec, ran }
}

test('sharedReads runs a listing once, also when two ask at the same time', async () => {
  const { exec, ran } = counting()
  const shared = sharedReads(exec)
  const [one, two] = await Promise.all([shared(LINKS), shared(LINKS)])
  assert.deepEqual(one, two)
  await shared(RULES)
  await shared(PORTS)
  await shared(LINKS)
  assert.deepEqual(
    ran,
    [LINKS, RULES, PORTS].map((argv) => argv.join(' ')),
  )
})

for (const [argv, lists] of [
  [['ip', '-batch', '-'], 2],
  [['ovs-vsctl', '--db=unix:x', '--', 'add-port', 'br-int', 'list'], 2],
  [['nft', '-f', '-'], 2],
  [['sysctl', '--quiet', '--write', 'a=b'], 2],
  [['wg', 'set', 'mallee0', 'peer', 'x', 'remove'], 2],
  [['anything'], 2],
  [['nft', '--terse', 'list', 'table', 'inet', 'mallee'], 1],
  [['sysctl', '--ignore', 'a'], 1],
  [['wg', 'show', 'mallee0', 'dump'], 1],
  [['ovs-appctl', '-t', 'x', 'version'], 1],
  [['ovs-ofctl', '--no-names', 'dump-flows', 'x'], 1],
] as const) {
  test(`sharedReads lists ${lists === 1 ? 'once' : 'again'} after ${argv.join(' ')}`, async () => {
    const { exec, ran } = counting()
    const shared = sharedReads(exec)
    await shared(LINKS)
    await shared(argv)
    await shared(LINKS)
    assert.equal(ran.filter((one) => one === LINKS.join(' ')).length, lists)
  })
}

test('sharedReads forgets what was listed while a change was under way', async () => {
  const { exec, ran } = counting()
  const shared = sharedReads(exec)
  await Promise.all([shared(['ip', '-batch', '-']), shared(LINKS)])
  await shared(LINKS)
  assert.equal(ran.length, 3)
})

test('sharedReads asks again after a listing that failed', async () => {
  const { exec, ran } = counting()
  const shared = sharedReads(exec)
  const fails = [...LINKS, 'fails']
  await assert.rejects(shared(fails), /as told/)
  await assert.rejects(shared(fails), /as told/)
  assert.equal(ran.length, 2)
})
