// Random changes of agreements with two peer clouds, of what these state, and of what borders
// report. Prefixes are as the number plan gives them out: no two overlap.

import { create, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { PeeringRecord, RemotePeering } from '../../../gateway/store/network-records.ts'
import type { PeerLinkRecord, PeerRecord } from '../../../gateway/store/peer-records.ts'
import {
  BorderSchema,
  ConnectionSchema,
  ConnectionState,
  GroupMemberSchema,
  PrivateNameSchema,
  type Statement,
  StatementSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { each, record } from './change.ts'
import type { Write } from './records.ts'

/** The peers' uids by their numbers. */
export const UIDS = ['1'.repeat(32), '2'.repeat(32)] as const
const TERMS = 'a'.repeat(64)
const EPOCH = 'e'.repeat(32)

/** A public key that is one. */
export function key(n: number): string {
  return Buffer.alloc(32, n).toString('base64')
}

export function peer(number: number, more: Partial<PeerRecord> = {}): PeerRecord {
  const chain = { epoch: EPOCH, sequence: 0, hash: '' }
  const limits = {
    ...{ maxConnections: 50, maxPrefixes: 50, bandwidth: 0, expiresAtMs: 0 },
    acceptedPrefixes: [],
  }
  return {
    ...{ uid: UIDS[number - 1] ?? '', number, region: `there-${number}`, state: 'active' },
    terms: { name: `peer ${number}`, accounts: null, borders: null, limits },
    ca: { sequence: 1, certificates: [] },
    card: {
      ...{ name: 'there', region: 'there', endpoints: [], usedPrefixes: [], suspended: false },
      limits,
    },
    ...{ stated: chain, heard: chain, heardAtMs: 0, createdAtMs: 0 },
    audit: { sequence: 0, hash: '' },
    ...more,
  }
}

export function statement(uid: string, said: Statement): Write {
  const plain = toJson(StatementSchema, said)
  const at = `peer-statement/${uid}/${said.key}`
  return [at, { uid, key: said.key, epoch: EPOCH, statement: plain }]
}

export function border(name: string, publicKey: string, more: object = {}): Statement {
  const [rack = '', host = ''] = name.split('/')
  const value = create(BorderSchema, { rack, host, publicKey, up: true, ...more })
  return create(StatementSchema, { key: `border/${name}`, body: { case: 'border', value } })
}

export function connection(
  id: string,
  state = ConnectionState.ACTIVE,
  terms: string = TERMS,
): Statement {
  const value = create(ConnectionSchema, { id, state, terms })
  return create(StatementSchema, { key: `connection/${id}`, body: { case: 'connection', value } })
}

export function member(id: string, address: string, group = 'sg-1'): Statement {
  const interfaceId = 'eni-0123456789abcdef0'
  const fields = { connectionId: id, groupId: group, interfaceId, addresses: [address] }
  const value = create(GroupMemberSchema, fields)
  const key = `member/${id}/${group}/${interfaceId}`
  return create(StatementSchema, { key, body: { case: 'member', value } })
}

export function name(id: string, address: string, zone = 'x'): Statement {
  const hostName = 'ip-10-0-0-7'
  const fields = { connectionId: id, hostName, zone, addresses: [address] }
  const value = create(PrivateNameSchema, fields)
  const key = `name/${id}/${zone}/${hostName}`
  return create(StatementSchema, { key, body: { case: 'name', value } })
}

export function link(number: number, name: string, n: number, up = true): PeerLinkRecord {
  const [rack = '', host = ''] = name.split('/')
  const heard = { rack: 'x', host: 'x1', handshakeAtMs: up ? 60_000 : 0, pathMtu: 0 }
  return {
    ...{ number, rack, host, publicKey: key(n), endpoints: [`192.0.2.9:${52_000 + number}`] },
    ...{ linkAddress: '', borders: [heard], trouble: '' },
  }
}

/** Of VPC `vpc-<n>` with the peer of that number; the block is VPC n's of records.ts. */
export function remotePeering(
  id: string,
  number: number,
  vpc: string,
  own: string,
  { remote: changed, ...more }: Partial<PeeringRecord> = {},
): PeeringRecord {
  const n = Number(id.replace(/\D/g, ''))
  const remote: RemotePeering = {
    uid: UIDS[number - 1] ?? '',
    side: 'requester',
    account: '9',
    vpc: `vpc-far-${n % 2}`,
    own: [own],
    offers: [[own, `100.64.${n * 16}.0/20`]],
    seenAs: [`100.64.${n * 16}.0/20`],
    theirs: [`172.16.${n * 16}.0/20`, `fd${n}0::/56`],
    terms: TERMS,
  }
  return {
    ...{
      id,
      requester: { account: '1', vpc },
      accepter: { account: '', vpc: '' },
    },
    ...{ state: 'active', message: '', createdAtMs: 0, expiresAtMs: 0, endedAtMs: null },
    ...{ requesterDnsResolution: false, accepterDnsResolution: false },
    ...more,
    remote: { ...remote, ...changed },
  }
}

/** With a VPC of the other side that has this id. */
export function calling(one: PeeringRecord, vpc: string): PeeringRecord {
  return one.remote === undefined ? one : { ...one, remote: { ...one.remote, vpc } }
}

const somePeer = each(UIDS, (uid, number) =>
  record(
    `peer/${uid}`,
    fc
      .record({
        state: fc.constantFrom('active', 'active', 'suspended'),
        suspended: fc.boolean(),
        epoch: fc.constantFrom(EPOCH, EPOCH, 'f'.repeat(32)),
        borders: fc.constantFrom(null, null, ['a'], ['b', 'c']),
      })
      .map(({ state, suspended, epoch, borders }) => {
        const one = peer(number)
        const card = { ...one.card, suspended: suspended && number === 2 }
        const heard = { ...one.heard, epoch }
        return { ...one, state, card, heard, terms: { ...one.terms, borders } }
      }),
  ),
)

const someStatement = fc
  .record({
    number: fc.constantFrom(1, 2),
    id: fc.constantFrom('pcx-5', 'pcx-6', 'pcx-7', 'x/x1', 'y/y1', 'y/y2'),
    flag: fc.boolean(),
    end: fc.nat(5),
  })
  .map(({ number, id, flag, end }): Write => {
    const state = flag ? ConnectionState.ACTIVE : ConnectionState.DELETED
    const n = 40 + 'x/x1 y/y1 y/y2'.indexOf(id) + (flag ? 1 : 0)
    const said = id.startsWith('pcx') ? connection(id, state) : border(id, key(n), { up: flag })
    const [at, value] = statement(UIDS[number - 1] ?? '', said)
    return [at, end === 0 ? null : value]
  })

/** Members of groups and names, of peerings that may not be there; some lie outside of them. */
const someGuest = fc
  .record({
    number: fc.constantFrom(1, 2),
    id: fc.constantFrom('pcx-5', 'pcx-6', 'pcx-7'),
    isName: fc.boolean(),
    address: fc.constantFrom('172.16.80.7', '172.16.96.7', 'fd50::7', '10.0.0.7'),
    end: fc.nat(4),
  })
  .map(({ number, id, isName, address, end }): Write => {
    const said = isName ? name(id, address) : member(id, address)
    const [at, value] = statement(UIDS[number - 1] ?? '', said)
    return [at, end === 0 ? null : value]
  })

const someLink = fc
  .record({
    number: fc.constantFrom(1, 2),
    rack: fc.constantFrom('a', 'b', 'c'),
    up: fc.boolean(),
    end: fc.nat(5),
  })
  .map(({ number, rack, up, end }): Write => {
    const at = `peer-link/${number}/${rack}/${rack}1`
    return [at, end === 0 ? null : link(number, `${rack}/${rack}1`, number * 3 + (up ? 1 : 2), up)]
  })

const someRemote = each(['pcx-5', 'pcx-6', 'pcx-7'], (id, n) =>
  record(
    `peering/${id}`,
    fc.constantFrom('active', 'active', 'deleted').map((state) => {
      // The other side's VPC has the id of one that is here: it must not matter.
      const vpc = n === 2 ? 'vpc-2' : 'vpc-1'
      const own = n === 2 ? '10.1.0.0/20' : '10.0.0.0/20'
      const one = remotePeering(id, n === 3 ? 2 : 1, vpc, own, { state })
      return n === 3 ? calling(one, 'vpc-2') : one
    }),
  ),
)

/** Two clouds, and peerings through which packets pass. */
export const PEERED: readonly Write[] = [
  ...[1, 2].map((n): Write => [`peer/${UIDS[n - 1]}`, peer(n)]),
  ...['pcx-5', 'pcx-6'].map((id) => statement(UIDS[0], connection(id))),
  statement(UIDS[1], connection('pcx-7')),
  ...['x/x1', 'y/y1'].map((name, n) => statement(UIDS[0], border(name, key(60 + n)))),
  statement(UIDS[1], border('x/x1', key(70))),
  statement(UIDS[0], member('pcx-5', '172.16.80.7')),
  statement(UIDS[0], name('pcx-5', '172.16.80.7')),
  ['peering/pcx-5', remotePeering('pcx-5', 1, 'vpc-1', '10.0.0.0/20')],
  ['peering/pcx-6', remotePeering('pcx-6', 1, 'vpc-2', '10.1.0.0/20')],
  ['peering/pcx-7', remotePeering('pcx-7', 2, 'vpc-1', '10.0.0.0/20')],
  ...['a', 'b'].flatMap((rack, i): Write[] =>
    [1, 2].map((n) => [`peer-link/${n}/${rack}/${rack}1`, link(n, `${rack}/${rack}1`, n * 10 + i)]),
  ),
]

export const somePeering: fc.Arbitrary<Write> = fc.oneof(
  ...[
    somePeer,
    someStatement,
    someStatement,
    someGuest,
    someGuest,
    someLink,
    someLink,
    someRemote,
    someRemote,
  ],
)
