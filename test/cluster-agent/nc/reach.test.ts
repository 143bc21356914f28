// Whether guests are reached: what is made of counters and questions, and the questions' frames.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { probeFrame } from '../../../cluster-agent/nc/probe-frames.ts'
import { type Heard, listen, Reaches } from '../../../cluster-agent/nc/reach.ts'
import type { MachineWanted } from '../../../cluster-agent/nc/wanted.ts'
import type { Exec } from '../../../common/exec.ts'
import { Reachability } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { nicOf, station } from './stations.ts'

const MINUTE_MS = 60_000
const ANY: MachineWanted = {
  ...{ id: '', power: 'running', vcpus: 1, memoryMib: 1, diskGib: 1, uuid: '', rebootCount: 0 },
  ...{ startCount: 0, forceStop: false, image: null, kernel: null, nics: [] },
  ...{ volumes: [], ephemeral: [], missing: [], missingToStart: [] },
}

const word = ({ reach }: Heard): string => Reachability[reach.verdict]

test('listen: a guest is initializing until it says something, for five minutes', () => {
  const first = listen(null, 0, 0)
  assert.equal(word(first), 'INITIALIZING')
  assert.equal(word(listen(first, 1, MINUTE_MS)), 'REACHABLE')
  assert.equal(word(listen({ ...first, unanswered: 9 }, 0, 4 * MINUTE_MS)), 'INITIALIZING')
  const late = listen(first, 0, 5 * MINUTE_MS)
  assert.deepEqual(late.reach, { verdict: Reachability.UNREACHABLE, sinceMs: 5 * MINUTE_MS })
  assert.equal(word(listen(late, 1, 6 * MINUTE_MS)), 'REACHABLE', 'it booted after all')
})

test('listen: silence is no failure, three questions without an answer are', () => {
  const well = listen(listen(null, 0, 0), 1, 1)
  assert.equal(word(listen(well, 1, 9 * MINUTE_MS)), 'REACHABLE', 'nobody asked it')
  assert.equal(word(listen({ ...well, unanswered: 2 }, 1, 2)), 'REACHABLE')
  const gone = listen({ ...well, unanswered: 3 }, 1, 3)
  assert.deepEqual(gone.reach, { verdict: Reachability.UNREACHABLE, sinceMs: 3 })
  const still = listen({ ...gone, unanswered: 4 }, 1, 9)
  assert.equal(still.reach.sinceMs, 3)
  const back = listen(still, 0, 10)
  assert.deepEqual([word(back), back.unanswered], ['REACHABLE', 0], 'a new counter is news, too')
})

test('probeFrame is an ARP probe, or a solicitation with a right checksum', () => {
  const mac = '02:00:00:00:00:01'
  assert.equal(
    probeFrame({ mac, ipv4: '10.1.0.11', ipv6: 'fd10:1::11' }),
    '020000000001020000000000080600010800060400010200000000000000000000000000' +
      `00000a01000b${'0'.repeat(36)}`,
  )
  const frame = probeFrame({ mac, ipv4: '', ipv6: 'fd10:1::11' })
  const [source, target] = [frame.slice(44, 76), frame.slice(76, 108)]
  assert.equal(source, `fe80${'0'.repeat(27)}1`)
  assert.equal(target, `fd100001${'0'.repeat(20)}0011`)
  // RFC 8200, 8.1: over the pseudo header and the message, with its checksum, it is all ones.
  const sum = (`${source}${target}000000180000003a${frame.slice(108)}`.match(/.{4}/g) ?? [])
    .map((four) => Number.parseInt(four, 16))
    .reduce((a, b) => a + b, 0)
  assert.equal((sum & 0xffff) + (sum >>> 16), 0xffff)
})

test('Reaches asks the silent ones only, all at once, and forgets who does not run', async () => {
  const asked: string[] = []
  let packets = 0
  const [talks, silent] = [nicOf(station(1), {}), nicOf(station(2), {})]
  const exec: Exec = async (argv, options = {}) => {
    const done = (stdout: string) => ({ code: 0, stdout, stderr: '' })
    if (argv[0] === 'ip') {
      packets += 1
      const link = (ifname: string, count: number) => ({
        ...{ ifname, stats64: { rx: { packets: count } } },
      })
      return done(JSON.stringify([link(talks.tap, packets), link(silent.tap, 7)]))
    }
    if (argv[0] === 'ovs-vsctl') return done(portTables([talks.tap, silent.tap]))
    assert.equal(argv[0], 'ovs-ofctl')
    asked.push(String(options.input))
    return done('')
  }
  const sw = { db: '', mgmt: '', ctl: '', bridge: 'br-int', datapath: 'netdev', own: true } as const
  const reaches = new Reaches({ exec, sw })
  const machine = (id: string, nic: typeof talks) => ({ ...ANY, id, nics: [nic] })
  const both = [machine('i-1', talks), machine('i-2', silent)]
  await reaches.round(both, 0)
  assert.equal(asked.length, 1, 'one command')
  assert.match(asked[0] ?? '', /output:1\n.*output:2\n$/s)
  await reaches.round(both, 9_000)
  assert.equal(asked.length, 1, 'it is not time yet')
  await reaches.round(both, 10_000)
  assert.equal(reaches.of('i-1')?.verdict, Reachability.REACHABLE)
  assert.match(asked[1] ?? '', /^[^\n]*output:2\n$/)
  await reaches.round(both, 400_000)
  assert.equal(reaches.of('i-2')?.verdict, Reachability.UNREACHABLE)
  await reaches.round([], 500_000)
  assert.equal(reaches.of('i-2'), null)
})

/** What ovs-vsctl lists of a bridge with these ports, numbered from 1. */
function portTables(names: readonly string[]): string {
  const uuid = (n: number) => ['uuid', `port-${n}`]
  return [
    { headings: [], data: [[['set', names.map((_, i) => uuid(i))]]] },
    {
      headings: [],
      data: names.map((name, i) => [uuid(i), name, 5, ['map', [['mallee', 'tap']]]]),
    },
    { headings: [], data: names.map((name, i) => [name, '', i + 1, '']) },
  ]
    .map((table) => JSON.stringify(table))
    .join('\n')
}
