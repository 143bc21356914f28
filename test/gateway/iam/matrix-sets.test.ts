// Policy matrix: identity policies, boundaries and session policies together (IAM
// user guide, "Policy evaluation logic" and "Permissions boundaries for IAM entities").

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, reasonOf } from '../../../gateway/iam/evaluate.ts'
import { type Elements, policyOf, requestOf } from './matrix.ts'

const YES: Elements = {}
const OTHER: Elements = { Action: 's3:*' }
const DENY: Elements = { Effect: 'Deny' }
const START = 'the ec2:StartInstances action'

type Limits = readonly [
  what: string,
  sets: { identity?: Elements[]; boundary?: Elements; session?: Elements[] },
  reason: string | null,
]

const LIMITS: readonly Limits[] = [
  ['nothing at all', {}, `because no identity-based policy allows ${START}`],
  ['an identity policy', { identity: [YES] }, null],
  ['the second of two', { identity: [OTHER, YES] }, null],
  [
    'a deny in the second of two',
    { identity: [YES, DENY] },
    'with an explicit deny in an identity-based policy',
  ],
  ['a boundary alone', { boundary: YES }, `because no identity-based policy allows ${START}`],
  [
    'a session policy alone',
    { session: [YES] },
    `because no identity-based policy allows ${START}`,
  ],
  ['a boundary that allows too', { identity: [YES], boundary: YES }, null],
  [
    'a boundary that does not',
    { identity: [YES], boundary: OTHER },
    `because no permissions boundary allows ${START}`,
  ],
  [
    'a boundary that denies',
    { identity: [YES], boundary: DENY },
    'with an explicit deny in a permissions boundary',
  ],
  ['a session policy that allows too', { identity: [YES], session: [YES] }, null],
  ['the second of two session policies', { identity: [YES], session: [OTHER, YES] }, null],
  [
    'a session policy that does not',
    { identity: [YES], session: [OTHER] },
    `because no session policy allows ${START}`,
  ],
  [
    'session policies, but none',
    { identity: [YES], session: [] },
    `because no session policy allows ${START}`,
  ],
  [
    'a session policy that denies',
    { identity: [YES], session: [YES, DENY] },
    'with an explicit deny in a session policy',
  ],
  ['all three', { identity: [YES], boundary: YES, session: [YES] }, null],
  [
    'all but the boundary',
    { identity: [YES], boundary: OTHER, session: [YES] },
    `because no permissions boundary allows ${START}`,
  ],
  [
    'all but the session',
    { identity: [YES], boundary: YES, session: [OTHER] },
    `because no session policy allows ${START}`,
  ],
  [
    'all but the identity',
    { identity: [OTHER], boundary: YES, session: [YES] },
    `because no identity-based policy allows ${START}`,
  ],
]

for (const [what, { identity = [], boundary, session }, reason] of LIMITS) {
  test(`${what}: ${reason ?? 'allow'}`, () => {
    const sets = {
      identity: identity.map((one) => policyOf(one)),
      boundary: boundary === undefined ? null : policyOf(boundary, { kind: 'boundary' }),
      session: session?.map((one) => policyOf(one, { kind: 'session' })) ?? null,
      resource: null,
    }
    const decision = evaluate(sets, requestOf({}))
    assert.equal(reasonOf(decision, 'ec2:StartInstances'), reason)
    assert.equal(decision.allowed, reason === null)
  })
}

test('root may all', () => {
  assert.equal(evaluate('root', requestOf({})).allowed, true)
})

test('a decision tells every statement that is about the request, the denied ones too', () => {
  const sets = {
    identity: [policyOf([{ Sid: 'A' }, { ...OTHER, Sid: 'B' }]), policyOf({ ...DENY, Sid: 'C' })],
    boundary: policyOf({ Sid: 'D' }),
    session: null,
    resource: null,
  }
  assert.deepEqual(evaluate(sets, requestOf({})).matched, [
    { source: 'identity', policy: 0, statement: 0, sid: 'A', effect: 'Allow' },
    { source: 'identity', policy: 1, statement: 0, sid: 'C', effect: 'Deny' },
    { source: 'boundary', policy: 0, statement: 0, sid: 'D', effect: 'Allow' },
  ])
})
