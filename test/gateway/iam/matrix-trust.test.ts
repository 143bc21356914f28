// Policy matrix: who may assume a role, by its trust policy and by their own policies (IAM user
// guide, "Cross-account policy evaluation logic" and "The confused deputy problem").

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, type Principal, reasonOf } from '../../../gateway/iam/evaluate.ts'
import { ACCOUNT, ALICE, type Elements, policyOf, requestOf } from './matrix.ts'

const OTHER: Elements = { Action: 's3:*' }
const DENY: Elements = { Effect: 'Deny' }
const ROLE = `arn:aws:iam::${ACCOUNT}:role/builders/packer`
const BOB: Principal = {
  kind: 'user',
  account: '999999999999',
  arn: 'arn:aws:iam::999999999999:user/bob',
  roleArn: null,
}
const SESSION: Principal = {
  kind: 'assumed-role',
  account: ACCOUNT,
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/ci/build-7`,
  roleArn: `arn:aws:iam::${ACCOUNT}:role/ci`,
}
const EC2: Principal = { kind: 'service', account: '', arn: 'ec2.amazonaws.com', roleArn: null }
const ASSUME: Elements = { Action: 'sts:AssumeRole', Resource: ROLE }
const NO_TRUST = 'because no role trust policy allows the sts:AssumeRole action'
const NO_IDENTITY = 'because no identity-based policy allows the sts:AssumeRole action'
const NO_BOUNDARY = 'because no permissions boundary allows the sts:AssumeRole action'

type Trust = readonly [
  what: string,
  trust: Elements | readonly Elements[],
  who: Principal,
  sets: { identity?: Elements; boundary?: Elements; session?: Elements },
  reason: string | null,
]

/** "Cross-account policy evaluation logic"; "Evaluating identity- and resource-based policies". */
const TRUSTS: readonly Trust[] = [
  ['the user itself', { Principal: { AWS: ALICE.arn } }, ALICE, {}, null],
  [
    'the user itself, past its boundary',
    { Principal: { AWS: ALICE.arn } },
    ALICE,
    { boundary: OTHER },
    null,
  ],
  [
    'the user itself, against a deny of its own',
    { Principal: { AWS: ALICE.arn } },
    ALICE,
    { identity: DENY },
    'with an explicit deny in an identity-based policy',
  ],
  ['another user', { Principal: { AWS: `${ALICE.arn}2` } }, ALICE, { identity: ASSUME }, NO_TRUST],
  [
    'the account, and the user may',
    { Principal: { AWS: ACCOUNT } },
    ALICE,
    { identity: ASSUME },
    null,
  ],
  ['the account, and the user may not', { Principal: { AWS: ACCOUNT } }, ALICE, {}, NO_IDENTITY],
  [
    "the account's root, and the user may",
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } },
    ALICE,
    { identity: ASSUME },
    null,
  ],
  [
    "the account's root, and the user may not",
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } },
    ALICE,
    {},
    NO_IDENTITY,
  ],
  [
    'the account, and the boundary does not',
    { Principal: { AWS: ACCOUNT } },
    ALICE,
    { identity: ASSUME, boundary: OTHER },
    NO_BOUNDARY,
  ],
  [
    'another account',
    { Principal: { AWS: '999999999999' } },
    ALICE,
    { identity: ASSUME },
    NO_TRUST,
  ],
  ['everyone in AWS', { Principal: { AWS: '*' } }, ALICE, {}, null],
  ['everyone', { Principal: '*' }, ALICE, {}, null],
  ['everyone, within boundaries', { Principal: '*' }, ALICE, { boundary: OTHER }, NO_BOUNDARY],
  ['one of a list', { Principal: { AWS: ['999999999999', ALICE.arn] } }, ALICE, {}, null],
  [
    'a user of another account that may',
    { Principal: { AWS: BOB.arn } },
    BOB,
    { identity: ASSUME },
    null,
  ],
  ['a user of another account that may not', { Principal: { AWS: BOB.arn } }, BOB, {}, NO_IDENTITY],
  [
    'another account whose user may',
    { Principal: { AWS: BOB.account } },
    BOB,
    { identity: ASSUME },
    null,
  ],
  ['everyone, and a user of another account may not', { Principal: '*' }, BOB, {}, NO_IDENTITY],
  [
    'a deny of a user of another account',
    [{ Principal: { AWS: BOB.account } }, { Effect: 'Deny', Principal: { AWS: BOB.arn } }],
    BOB,
    { identity: ASSUME },
    'with an explicit deny in a role trust policy',
  ],
  [
    'a role, by its session',
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/ci` } },
    SESSION,
    {},
    null,
  ],
  [
    'a role, within its session policy',
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/ci` } },
    SESSION,
    { session: OTHER },
    'because no session policy allows the sts:AssumeRole action',
  ],
  [
    'a role, within its boundary',
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/ci` } },
    SESSION,
    { boundary: OTHER },
    NO_BOUNDARY,
  ],
  [
    'a session, past its boundary',
    { Principal: { AWS: SESSION.arn } },
    SESSION,
    { boundary: OTHER },
    null,
  ],
  [
    'another session',
    { Principal: { AWS: `${SESSION.arn}7` } },
    SESSION,
    { identity: ASSUME },
    NO_TRUST,
  ],
  ['a service', { Principal: { Service: 'ec2.amazonaws.com' } }, EC2, {}, null],
  ['another service', { Principal: { Service: 'lambda.amazonaws.com' } }, EC2, {}, NO_TRUST],
  [
    'a service, asked by a user',
    { Principal: { Service: 'ec2.amazonaws.com' } },
    ALICE,
    { identity: ASSUME },
    NO_TRUST,
  ],
  [
    'another action',
    { Principal: '*', Action: 'sts:TagSession' },
    ALICE,
    { identity: ASSUME },
    NO_TRUST,
  ],
  ['all but others', { NotPrincipal: { AWS: BOB.arn } }, ALICE, {}, null],
  ['all but it', { NotPrincipal: { AWS: ALICE.arn } }, ALICE, { identity: ASSUME }, NO_TRUST],
  [
    'a deny of all but it',
    [{ Principal: { AWS: ACCOUNT } }, { Effect: 'Deny', NotPrincipal: { AWS: ALICE.arn } }],
    ALICE,
    { identity: ASSUME },
    null,
  ],
]

for (const [what, trust, who, { identity, boundary, session }, reason] of TRUSTS) {
  test(`a trust policy that names ${what}: ${reason ?? 'allow'}`, () => {
    const sets = {
      identity: identity === undefined ? [] : [policyOf(identity)],
      boundary: boundary === undefined ? null : policyOf(boundary),
      session: session === undefined ? null : [policyOf(session)],
      resource: policyOf(trust, { kind: 'trust' }),
    }
    const asked = { action: 'sts:AssumeRole', resource: ROLE, principal: who }
    assert.equal(reasonOf(evaluate(sets, requestOf(asked)), 'sts:AssumeRole'), reason)
  })
}

/** "The confused deputy problem": who does not know the customer's id gets nowhere. */
for (const [externalId, reason] of [
  ['customer-12', null],
  ['customer-13', NO_TRUST],
  ['', NO_TRUST],
  [null, NO_TRUST],
] as const) {
  test(`a trust policy with sts:ExternalId, asked with ${externalId}: ${reason ?? 'allow'}`, () => {
    const trust = policyOf(
      {
        Principal: { AWS: BOB.account },
        Condition: { StringEquals: { 'sts:ExternalId': 'customer-12' } },
      },
      { kind: 'trust' },
    )
    const sets = { identity: [policyOf(ASSUME)], boundary: null, session: null, resource: trust }
    const keys = externalId === null ? {} : { 'sts:ExternalId': externalId }
    const asked = { action: 'sts:AssumeRole', resource: ROLE, principal: BOB, keys }
    assert.equal(reasonOf(evaluate(sets, requestOf(asked)), 'sts:AssumeRole'), reason)
  })
}
