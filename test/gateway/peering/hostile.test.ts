// A peer cloud that states what it may not, with a good certificate: each is refused with a reason,
// and nothing of this cloud changes. What it does at the port: hostile-port.test.ts.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { ownCard } from '../../../gateway/peering/cloud-card.ts'
import { heard } from '../../../gateway/peering/heard.ts'
import { limitsMessage } from '../../../gateway/peering/limits.ts'
import {
  BatchSchema,
  ConnectionState,
  DeliverRequestSchema,
  type StatementSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { gatewayIdentity, hostilePair, OPEN_TERMS, type PeerCloud } from './clouds.ts'

type Said = MessageInitShape<typeof StatementSchema>

const PCX = 'pcx-0123456789abcdef0'
const KEY = `${'A'.repeat(43)}=`
const BORDER = { rack: 'r1', host: 'cc', publicKey: KEY, endpoints: [], linkAddress: 'fe80::1' }
const CONNECTION = {
  ...{ id: PCX, requester: true, state: ConnectionState.REQUESTED, terms: '', chosen: [] },
  ...{ account: '111122223333', vpcId: 'vpc-0123456789abcdef0', message: '' },
  ...{ otherAccount: '444455556666', otherVpcId: 'vpc-0123456789abcdef1' },
  offers: [{ candidates: ['10.1.0.0/16'] }],
}

function border(fields: object, key = 'border/r1/cc'): Said {
  return { key, body: { case: 'border', value: { ...BORDER, ...fields } } }
}

function connection(fields: object, key = `connection/${PCX}`): Said {
  return { key, body: { case: 'connection', value: { ...CONNECTION, ...fields } } }
}

let east: PeerCloud
/** The hostile one: only its identity is used. */
let west: PeerCloud
let uid = ''
const ends: (() => Promise<void>)[] = []

before(async () => {
  ;[east, west] = await hostilePair({ after: (end) => void ends.push(async () => end()) })
  uid = east.peer().uid
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

/** The next link of west's chain, with these statements and whatever else. */
function batchOf(statements: readonly Said[], fields: object = {}): Uint8Array {
  const { epoch, sequence, hash } = east.peer().heard
  const batch = create(BatchSchema, {
    epoch: Buffer.from(epoch, 'hex'),
    sequence: BigInt(sequence + 1),
    previousHash: Buffer.from(hash, 'hex'),
    statements: [...statements],
    statedAtMs: BigInt(east.clock.nowMs()),
    fromUid: uid,
    toUid: east.state.view().get('cloud', 'self')?.uid ?? '',
    ...fields,
  })
  return toBinary(BatchSchema, batch)
}

/** As the handler takes it. */
function take(batch: Uint8Array, skewMs = 0): Promise<unknown> {
  const clockMs = BigInt(east.clock.nowMs() + skewMs)
  const request = create(DeliverRequestSchema, { batch, clockMs })
  const { state, clock } = east
  return heard({ state, clock, identity: () => east.identity, log: silentLog }, uid, request)
}

async function unchanged(act: () => Promise<void>): Promise<void> {
  const revision = (await east.state.fresh()).revision
  await act()
  assert.equal((await east.state.fresh()).revision, revision, 'nothing was written')
}

const card = () => ownCard(west.state.view())

describe('a hostile peer', () => {
  for (const [what, statement, message] of [
    ['a key that is not its own', border({}, 'border/r2/cc'), /not its own/],
    [
      'a peering under another id',
      connection({}, 'connection/pcx-0123456789abcdef1'),
      /not its own/,
    ],
    ['a key with odd characters', border({ host: 'ä\u0000' }, 'border/r1/ä\u0000'), /malformed/],
    ['a key that leads elsewhere', border({ rack: '..' }, 'border/../cc'), /not its own/],
    ['a key of many parts', border({}, 'border/r1/cc/d/e'), /malformed/],
    ['a rack in capitals', border({ rack: 'R1' }, 'border/R1/cc'), /not its own/],
    ['a public key that is none', border({ publicKey: 'no' }), /public key/],
    ['an endpoint that is none', border({ endpoints: ['a b:1'] }), /endpoints/],
    ['many endpoints', border({ endpoints: Array(20).fill('a:1') }), /endpoints/],
    ['a link address of another network', border({ linkAddress: 'fd00::1' }), /link address/],
    ['a default route', connection({ offers: [{ candidates: ['0.0.0.0/0'] }] }), /0\.0\.0\.0/],
    ['a default route in IPv6', connection({ offers: [{ candidates: ['::/0'] }] }), /::/],
    ['a public prefix', connection({ offers: [{ candidates: ['8.8.0.0/16'] }] }), /8\.8\.0\.0/],
    ['half of all private ones', connection({ offers: [{ candidates: ['10.0.0.0/8'] }] }), /10\./],
    ['a choice of public ones', connection({ chosen: ['1.1.1.0/24'] }), /no private prefix/],
    [
      'candidates without end',
      connection({ offers: [{ candidates: Array(17).fill('10.1.0.0/16') }] }),
      /16 prefixes/,
    ],
    ['a state that is none', connection({ state: 99 }), /state 99/],
    ['an account that is none', connection({ account: '../../root' }), /12 digits/],
    ['control characters', connection({ message: 'a\u001b[2J' }), /message/],
    ['terms that are no hash', connection({ terms: 'x' }), /SHA-256/],
    ['the withdrawal of its cloud', { key: 'cloud' }, /cannot be withdrawn/],
    [
      'a name on a public address',
      {
        key: `name/${PCX}/a/www`,
        body: {
          case: 'name',
          value: { connectionId: PCX, hostName: 'www', zone: 'a', addresses: ['8.8.8.8'] },
        },
      },
      /no private address/,
    ],
    [
      'a name with dots',
      {
        key: `name/${PCX}/a/a.b`,
        body: {
          case: 'name',
          value: { connectionId: PCX, hostName: 'a.b', zone: 'a', addresses: [] },
        },
      },
      /its name is none/,
    ],
  ] as [string, Said, RegExp][]) {
    test(`that states ${what} is refused`, () =>
      unchanged(() => assert.rejects(take(batchOf([statement])), { code: 'BadMessage', message })))
  }

  test('that states itself to be another is refused', async () => {
    await west.start()
    const cloud = card()
    await west.stop()
    const limits = limitsMessage(OPEN_TERMS.limits)
    const own = ownCard(east.state.view())
    const stranger = await gatewayIdentity(east.ca, 'west')
    for (const [card, code] of [
      [{ ...cloud, name: 'north' }, 'BadMessage'],
      [{ ...cloud, uid: 'f'.repeat(32) }, 'BadMessage'],
      // A CA that is ours: its certificates would be this cloud's own.
      [{ ...cloud, ca: { ...own.ca, sequence: 9n } }, 'Conflict'],
      [{ ...cloud, ca: { ...cloud.ca, certificates: [stranger.certificatePem] } }, 'BadMessage'],
      [{ ...cloud, endpoints: [] }, 'BadMessage'],
      [{ ...cloud, minProtocol: 2, maxProtocol: 3 }, 'ProtocolMismatch'],
    ] as const) {
      const value = { card: card as typeof cloud, limits, suspended: false, ended: false }
      const said: Said = { key: 'cloud', body: { case: 'cloud', value } }
      await unchanged(() => assert.rejects(take(batchOf([said])), { code }))
    }
  })

  test('that sends what is not for it, or not now, is refused', async () => {
    const old = Buffer.from(`${'0'.repeat(15)}1${'0'.repeat(16)}`, 'hex')
    for (const [fields, code] of [
      [{ fromUid: 'e'.repeat(32) }, 'NotAllowed'],
      [{ toUid: 'e'.repeat(32) }, 'NotAllowed'],
      [{ sequence: 1n }, 'StaleGeneration'],
      [{ sequence: 99n }, 'StaleGeneration'],
      [{ sequence: 0n }, 'BadMessage'],
      [{ sequence: 2n ** 63n }, 'BadMessage'],
      [{ previousHash: new Uint8Array(32) }, 'StaleGeneration'],
      [{ epoch: new Uint8Array(3) }, 'BadMessage'],
      [
        { epoch: old, sequence: 1n, previousHash: new Uint8Array(), snapshot: true },
        'StaleGeneration',
      ],
      [{ snapshot: true }, 'StaleGeneration'],
      [{ statedAtMs: BigInt(east.clock.nowMs() + 400_000) }, 'ClockSkew'],
    ] as const) {
      await unchanged(() => assert.rejects(take(batchOf([border({})], fields)), { code }))
    }
    for (const skewMs of [-301_000, 301_000, 2 ** 52]) {
      await unchanged(() => assert.rejects(take(batchOf([]), skewMs), { code: 'ClockSkew' }))
    }
  })

  test('that states more than it may is refused', async () => {
    const twice = batchOf([border({}), border({})])
    await unchanged(() => assert.rejects(take(twice), { message: /one thing twice/ }))
    const borders = Array.from({ length: 257 }, (_, i) =>
      border({ rack: `r${i}` }, `border/r${i}/cc`),
    )
    const many = batchOf(borders)
    await unchanged(() => assert.rejects(take(many), { message: /more than 256 .* border/ }))
    // Half a million statements of nothing: fields 5 without any bytes.
    const nothing = Buffer.alloc((1 << 20) - 1_000)
    for (let i = 0; i < nothing.length; i += 2) nothing[i] = 0x2a
    const flood = Buffer.concat([batchOf([]), nothing])
    await unchanged(() => assert.rejects(take(flood), { message: /3000 are the most/ }))
    const large = Buffer.alloc((1 << 20) + 1)
    await unchanged(() => assert.rejects(take(large), { message: /1 MiB is the most/ }))
  })

  test('that sends any bytes at all changes nothing', async () => {
    const good = batchOf([border({}), connection({})])
    const revision = (await east.state.fresh()).revision
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(good.length),
        async (changes, cut) => {
          const bytes = Buffer.from(good)
          for (const [at, value] of changes) bytes[at] = value
          // The end of the chain's fields stays, so that it gets as far as it can.
          const sent = cut % 3 === 0 ? bytes.subarray(0, cut) : bytes
          await take(sent).catch((error: unknown) =>
            assert.notEqual(codeOf(error), null, `${error}`),
          )
        },
      ),
      { numRuns: 150, seed: 7 },
    )
    // Whatever still was a batch has changed what is kept of this peer, and nothing else.
    const changed = (await east.state.changesSince(revision)) ?? []
    assert.deepEqual(
      changed.filter(({ key }) => !key.includes(uid)),
      [],
    )
  })
})
