// What HAProxy and nftables are told in load balancers' nodes, as texts: neither runs here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStats, type ServerStat } from '../../../../cluster-agent/host/haproxy.ts'
import { filterOf, placesOf, planFilter } from '../../../../cluster-agent/nc/balancers/filter.ts'
import { nodeConfig } from '../../../../cluster-agent/nc/balancers/haproxy-config.ts'
import { healthOf, usableTargets } from '../../../../cluster-agent/nc/balancers/health.ts'
import { nodePlaces } from '../../../../cluster-agent/nc/balancers/names.ts'
import { listening } from '../../../../cluster-agent/nc/balancers/node.ts'
import {
  carriedStates,
  planServers,
  serverLines,
} from '../../../../cluster-agent/nc/balancers/servers.ts'
import type {
  CheckWanted,
  GroupWanted,
  NodeWanted,
  TargetWanted,
} from '../../../../cluster-agent/nc/balancers/wanted.ts'
import { DEFAULT_PATHS } from '../../../../cluster-agent/paths.ts'
import { TargetState } from '../../../../proto/gen/mallee/v1/balancers_pb.js'

const CHECK: CheckWanted = {
  ...{ protocol: 'http', port: 0, path: "/it's", codes: ['200', '202-299'] },
  ...{ intervalS: 10, timeoutS: 3, rise: 3, fall: 2 },
}
const PLAIN = { sticky: false, proxyProtocol: false, terminates: false }

const target = (address: string, draining = false): TargetWanted => ({
  address,
  port: 80,
  draining,
})

function node(targets: readonly TargetWanted[], change: Partial<GroupWanted> = {}): NodeWanted {
  const group = { id: 'tg-1', check: CHECK, ...PLAIN, targets, ...change }
  const listener = { id: 'l-1', tcp: true, udp: false, port: 443, groupId: 'tg-1' }
  const about = { id: 'lb', interfaceId: 'eni-1', missing: [] }
  return { ...about, listeners: [listener], groups: [group] }
}

function stat(place: string, change: Partial<ServerStat> = {}): ServerStat {
  const [backend = '', name = ''] = place.split('/')
  const fine = { status: 'UP', mode: 'ready', connections: 0, check: 'L7OK' } as const
  return { backend, name, ...fine, httpStatus: 200, said: '', ...change }
}

const ONE = '10.0.0.1_80'
const IN = [stat(`tg-1/${ONE}`), stat(`open.tg-1/${ONE}`, { status: 'no check', check: '' })]
const ARGS = '10.0.0.1:80 id 729632494'
const CHECKED = 'check inter 10s rise 3 fall 2'

const SERVERS: readonly (readonly [
  string,
  NodeWanted,
  readonly ServerStat[],
  readonly string[],
])[] = [
  ['one that is in stays', node([target('10.0.0.1')]), IN, []],
  [
    'a new one is tried first, and open to all when nobody is well',
    node([target('10.0.0.1')]),
    [],
    [
      `add server open.tg-1/${ONE} ${ARGS}`,
      `set server open.tg-1/${ONE} state ready`,
      `add server trial.tg-1/${ONE} ${ARGS} check inter 3s downinter 100ms rise 3 fall 2`,
      `enable health trial.tg-1/${ONE}`,
      `set server trial.tg-1/${ONE} state ready`,
      'soon',
    ],
  ],
  [
    'one on trial has not been checked yet',
    node([target('10.0.0.1')]),
    [stat(`open.tg-1/${ONE}`), stat(`trial.tg-1/${ONE}`, { check: '' })],
    ['soon'],
  ],
  [
    'one that failed its trial is let in as ill',
    node([target('10.0.0.1')]),
    [stat(`open.tg-1/${ONE}`), stat(`trial.tg-1/${ONE}`, { check: 'L4CON', status: 'DOWN' })],
    [
      `add server tg-1/${ONE} ${ARGS} ${CHECKED}`,
      `enable health tg-1/${ONE}`,
      `set server tg-1/${ONE} state ready`,
      `set server tg-1/${ONE} health down`,
      `set server trial.tg-1/${ONE} state maint`,
      `may del server trial.tg-1/${ONE}`,
      'soon',
    ],
  ],
  [
    'one that drains',
    node([target('10.0.0.1', true)]),
    IN,
    [`set server open.tg-1/${ONE} state drain`, `set server tg-1/${ONE} state drain`],
  ],
  [
    'one that comes back while it drains',
    node([target('10.0.0.1')]),
    IN.map((one) => ({ ...one, mode: 'drain' as const })),
    [`set server open.tg-1/${ONE} state ready`, `set server tg-1/${ONE} state ready`],
  ],
  [
    'one that is gone waits for its connections',
    node([]),
    [stat(`tg-1/${ONE}`, { connections: 2 }), stat(`open.tg-1/${ONE}`)],
    [
      `set server tg-1/${ONE} state drain`,
      `set server open.tg-1/${ONE} state maint`,
      `may del server open.tg-1/${ONE}`,
      'soon',
    ],
  ],
  [
    'one that is gone takes its connections with it',
    node([], { terminates: true }),
    [stat(`tg-1/${ONE}`, { connections: 2, mode: 'maint' })],
    [`end tg-1/${ONE}`, `may del server tg-1/${ONE}`, 'soon'],
  ],
]

for (const [what, wanted, stats, steps] of SERVERS) {
  test(`planServers: ${what}`, () => {
    const { commands, deletions, shutdowns, unsettled } = planServers(wanted, stats)
    const all = [
      ...commands,
      ...shutdowns.map((one) => `end ${one}`),
      ...deletions.map((one) => `may ${one}`),
      ...(unsettled ? ['soon'] : []),
    ]
    assert.deepEqual(all.sort(), [...steps].sort())
  })
}

test('nodeConfig begins with the servers that are in, and knows itself by all but those', () => {
  const wanted = node([target('10.0.0.1'), target('fd00::5')], { sticky: true })
  const at = nodePlaces(DEFAULT_PATHS, 'eni-1')
  const { digest, text } = nodeConfig(wanted, at)
  const whole = text(serverLines(wanted, IN))
  assert.match(whole, new RegExp(`^    description ${digest}$`, 'm'))
  assert.match(whole, /^frontend tcp\.443\n {4}bind 0\.0\.0\.0:443\n {4}bind \[::\]:443 v6only\n/m)
  assert.match(
    whole,
    /^ {4}use_backend open\.tg-1 if \{ nbsrv\(tg-1\) eq 0 \}\n {4}default_backend tg-1$/m,
  )
  assert.match(whole, /http-check send meth GET uri '\/it'\\''s' ver HTTP\/1\.1/)
  assert.match(whole, /http-check expect status 200,202-299$/m)
  assert.match(
    whole,
    new RegExp(`^backend tg-1\n    balance source\n[^]*    server ${ONE} ${ARGS}`, 'm'),
  )
  assert.doesNotMatch(whole, /fd00::5/)
  assert.equal(nodeConfig(node([]), at).digest, nodeConfig(node([target('10.0.0.9')]), at).digest)
  assert.notEqual(nodeConfig(node([]), at).digest, nodeConfig(wanted, at).digest)
  const proxied = node([], { proxyProtocol: true })
  assert.notEqual(nodeConfig(proxied, at).digest, nodeConfig(node([]), at).digest)
})

for (const path of ['/a b', '/a\nb', 'a', '/\u00e9']) {
  test(`nodeConfig refuses to check ${JSON.stringify(path)}`, () => {
    const wanted = node([], { check: { ...CHECK, path } })
    assert.throws(() => nodeConfig(wanted, nodePlaces(DEFAULT_PATHS, 'eni-1')), {
      code: 'BadMessage',
    })
  })
}

test('nodePlaces refuses what would lead elsewhere', () => {
  assert.throws(() => nodePlaces(DEFAULT_PATHS, '../x'), { code: 'BadMessage' })
})

test('carriedStates keep who is well, and nothing of how checks were', () => {
  const line = (name: string, up: number, health: number, port: number) =>
    `3 tg-1 7 ${name} 10.0.0.1 ${up} 0 1 1 5 15 3 ${health} 6 0 0 1 - 80 - 0 ${port} - - 0`
  const other = '4 open.tg-1 7 a 10.0.0.1 2 0 1 1 5 15 3 4 6 0 0 1 - 80 - 0 0 - - 0'
  const states = ['1', '# be_id', line('a', 2, 3, 443), line('b', 0, 1, 443), other, '']
  assert.deepEqual(carriedStates(node([]), states.join('\n')).split('\n'), [
    ...['1', '# be_id', line('a', 2, 4, 0), line('b', 0, 0, 0), other, ''],
  ])
})

test('parseStats reads states, modes and quoted words', () => {
  const csv = [
    '# pxname,svname,scur,status,check_status,check_code,last_chk,check_desc,',
    'tg-1,a,3,UP,* L7OK,200,,Layer7 check passed,',
    'tg-1,b,0,DOWN 1/2,L7STS,503,"Service, ""not"" there",x,',
    'open.tg-1,a,0,no check,,,,,',
  ].join('\n')
  const states = '1\n# be_id\n3 tg-1 9 b 10.0.0.2 0 8 1\n3 tg-1 8 a 10.0.0.1 2 1 1\n'
  assert.deepEqual(parseStats(csv, states), [
    stat('tg-1/a', { mode: 'maint', connections: 3, said: 'Layer7 check passed' }),
    stat('tg-1/b', {
      ...{ status: 'DOWN 1/2', mode: 'drain', check: 'L7STS', httpStatus: 503 },
      said: 'Service, "not" there',
    }),
    stat('open.tg-1/a', { status: 'no check', check: '', httpStatus: 0 }),
  ])
})

test('healthOf says why, keeps that until a check says otherwise, and since when', () => {
  const wanted = node([target('10.0.0.1')])
  const key = `target/eni-1/tg-1/10.0.0.1/80`
  const see = (stats: ServerStat[], before = new Map(), nowMs = 5) =>
    healthOf(wanted, stats, before, nowMs)
  const down = { status: 'DOWN', check: 'L7STS', httpStatus: 500 }
  const first = see([stat(`trial.tg-1/${ONE}`, down)])
  assert.equal(first.get(key)?.state, TargetState.INITIAL)
  // Let in just now: only its trial knows why.
  const forced = { status: 'DOWN', check: '' }
  const ill = see([stat(`tg-1/${ONE}`, forced), stat(`trial.tg-1/${ONE}`, down)], first, 6)
  const expected = {
    ...{ state: TargetState.UNHEALTHY, reason: 'HTTP status 500', timedOut: false },
    ...{ httpStatus: 500, sinceMs: 6 },
  }
  assert.deepEqual(ill.get(key), expected)
  assert.deepEqual(see([stat(`tg-1/${ONE}`, forced)], ill, 7).get(key), expected)
  const rising = see([stat(`tg-1/${ONE}`, { status: 'DOWN 1/3' })], ill, 8)
  assert.deepEqual(rising.get(key), expected)
  const late = see([stat(`tg-1/${ONE}`, { status: 'DOWN', check: 'L4TOUT' })], ill, 9)
  assert.equal(late.get(key)?.timedOut, true)
  assert.deepEqual(see([stat(`tg-1/${ONE}`)], ill, 10).get(key), {
    ...{ state: TargetState.HEALTHY, reason: '', timedOut: false, httpStatus: 0, sinceMs: 10 },
  })
})

test('usableTargets are the well ones, of ill ones only all, and none that drains', () => {
  const [one, two, three] = [target('10.0.0.1'), target('10.0.0.2'), target('10.0.0.3', true)]
  const wanted = node([one, two, three])
  const of = (...stats: ServerStat[]) =>
    usableTargets(wanted, 'tg-1', healthOf(wanted, stats, new Map(), 1)).map((one) => one.address)
  assert.deepEqual(of(stat(`tg-1/${ONE}`)), ['10.0.0.1'])
  assert.deepEqual(of(stat('tg-1/10.0.0.3_80')), ['10.0.0.1', '10.0.0.2'])
})

test('placesOf moves only the places of a target that goes, and spreads evenly', () => {
  const many = Array.from({ length: 8 }, (_, n) => target(`10.0.0.${n + 1}`))
  const [before, after] = [placesOf(many, 4), placesOf(many.slice(1), 4)]
  const moved = before.filter((place) => !after.includes(place))
  assert.ok(moved.every((place) => place.endsWith(' : 10.0.0.1 . 80')))
  assert.ok(moved.length > 16 && moved.length < 64, `${moved.length} of 256`)
  assert.deepEqual(placesOf([target('fd00::1')], 4), [])
})

test('planFilter loads a table that is missing or another, and else changes elements', () => {
  const udp = { id: 'l-2', tcp: false, udp: true, port: 53, groupId: 'tg-1' }
  const wanted = { ...node([target('10.0.0.1')]), listeners: [udp] }
  const tcp = node([target('10.0.0.1')])
  const filter = filterOf(tcp, () => tcp.groups[0]?.targets ?? [])
  assert.equal(planFilter(filter, null), filter.ruleset)
  const table = (elements: string) =>
    `table inet mallee {\n\tcomment "${filter.digest}"\n\tset open {\n\t\ttype inet_service\n${elements}\t}\n\n\tset shut {\n\t\ttype inet_service\n\t}\n}\n`
  assert.equal(planFilter(filter, table('\t\telements = { 443 }\n')), '')
  const changed = planFilter(filter, table('\t\telements = { 80 }\n'))
  assert.equal(
    changed,
    'delete element inet mallee open { 80 }\nadd element inet mallee open { 443 }\n',
  )
  const other = filterOf(wanted, () => [])
  assert.equal(planFilter(other, table('')), other.ruleset)
  assert.match(other.ruleset, /udp dport 53 meta mark set jhash ip saddr \. udp sport mod 256/)
})

test('listening finds the ports of listening sockets', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid',
    '   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0',
    '   1: 3201010A:9C40 0C01010A:005A 01 00000000:00000000 00:00000000 00000000   106',
    '  12: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0',
    '',
  ].join('\n')
  assert.deepEqual([...listening(table)], [80, 443])
})
