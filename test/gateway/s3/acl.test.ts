// Access control lists in all the words that requests have for them: what is taken, and what is
// refused with which code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Grant } from '@aws-sdk/client-s3'
import { aclIn, newObjectAcl } from '../../../gateway/s3/acl/asked.ts'
import { canonicalId } from '../../../gateway/s3/buckets/bucket.ts'
import type { BucketRecord } from '../../../gateway/store/bucket-records.ts'
import type { View } from '../../../gateway/store/state.ts'

const [OWNER, OTHER, THIRD] = ['111111111111', '222222222222', '333333333333'] as const
const [ownId, otherId] = [canonicalId(OWNER), canonicalId(OTHER)]
const view = { all: () => [OWNER, OTHER, THIRD].map((id) => ({ id })) } as unknown as View
const bucket = { account: OWNER, ownership: 'ObjectWriter' } as BucketRecord
const parties = { view, owner: OWNER, bucketOwner: OWNER }
const FULL = { to: ownId, permission: 'FULL_CONTROL' } as const

const grantTo = (Grantee: object, Permission = 'READ'): Grant => ({ Grantee, Permission }) as Grant
const policyOf = (...Grants: Grant[]) => ({ AccessControlPolicy: { Owner: { ID: ownId }, Grants } })
const own = grantTo({ Type: 'CanonicalUser', ID: ownId }, 'FULL_CONTROL')
const GROUP = 'http://acs.amazonaws.com/groups/global/AllUsers'

for (const [what, asked, want] of [
  ['a word of nobody’s', { GrantRead: 'name="x"' }, 'InvalidArgument'],
  ['no word', { GrantRead: otherId }, 'InvalidArgument'],
  ['nothing', { GrantRead: '' }, 'InvalidArgument'],
  ['no account', { GrantRead: `id="${'0'.repeat(64)}"` }, 'InvalidArgument'],
  ['an account’s number', { GrantRead: `id="${OTHER}"` }, 'InvalidArgument'],
  ['no group', { GrantRead: 'uri="http://acs.amazonaws.com/groups/x"' }, 'InvalidArgument'],
  ['an address', { GrantRead: 'emailAddress="a@b.example"' }, 'UnresolvableGrantByEmailAddress'],
  ['two ways at once', { ACL: 'private', GrantRead: `id="${ownId}"` }, 'InvalidRequest'],
  ['a document beside', { ACL: 'private', ...policyOf(own) }, 'UnexpectedContent'],
  ['nothing at all', {}, 'MissingSecurityHeader'],
  ['more than 100', policyOf(...Array.from({ length: 101 }, () => own)), 'MalformedACLError'],
  [
    'more than 100 in a header',
    { GrantRead: Array.from({ length: 101 }, () => `id=${ownId}`).join(',') },
    'MalformedACLError',
  ],
  [
    'another owner',
    { AccessControlPolicy: { Owner: { ID: otherId }, Grants: [own] } },
    'AccessDenied',
  ],
  ['nobody as owner', { AccessControlPolicy: { Grants: [own] } }, 'MalformedACLError'],
  ['no grantee', policyOf({ Permission: 'READ' }), 'MalformedACLError'],
  [
    'no permission',
    policyOf({ Grantee: { Type: 'CanonicalUser', ID: ownId } }),
    'MalformedACLError',
  ],
  [
    'an address in a document',
    policyOf(grantTo({ Type: 'AmazonCustomerByEmail', EmailAddress: 'a@b.example' })),
    'UnresolvableGrantByEmailAddress',
  ],
  ['no id in a document', policyOf(grantTo({ Type: 'CanonicalUser' })), 'InvalidArgument'],
  ['no group in a document', policyOf(grantTo({ Type: 'Group' })), 'InvalidArgument'],
  ['a canned one of nobody’s', { ACL: 'open' }, 'InvalidArgument'],
] as const) {
  test(`a list is refused for ${what}: ${want}`, () => {
    assert.throws(() => aclIn(parties, bucket, asked as object), { code: want })
  })
}

for (const [what, asked, want] of [
  ['an id', { GrantRead: `id="${otherId}"` }, [{ to: otherId, permission: 'READ' }]],
  [
    'several, as they come',
    { GrantWriteACP: ` ID = ${otherId} ,uri="${GROUP}"` },
    [
      { to: otherId, permission: 'WRITE_ACP' },
      { to: 'AllUsers', permission: 'WRITE_ACP' },
    ],
  ],
  ['100 of them', policyOf(...Array.from({ length: 100 }, () => own)), Array(100).fill(FULL)],
  ['a document without grants', policyOf(), []],
  ['a canned one', { ACL: 'bucket-owner-read' }, [FULL]],
] as const) {
  test(`a list is taken with ${what}`, () => {
    assert.deepEqual(aclIn(parties, bucket, asked as object), want)
  })
}

for (const [ownership, writer, ACL, owner, grantees] of [
  ['BucketOwnerEnforced', OTHER, undefined, OWNER, null],
  ['BucketOwnerEnforced', OTHER, 'bucket-owner-full-control', OWNER, null],
  ['BucketOwnerPreferred', OTHER, undefined, OTHER, null],
  ['BucketOwnerPreferred', OTHER, 'bucket-owner-full-control', OWNER, null],
  ['BucketOwnerPreferred', OTHER, 'public-read', OTHER, [otherId, 'AllUsers']],
  ['ObjectWriter', OTHER, 'bucket-owner-full-control', OTHER, [otherId, ownId]],
  ['ObjectWriter', OTHER, 'bucket-owner-read', OTHER, [otherId, ownId]],
  ['ObjectWriter', OWNER, 'bucket-owner-full-control', OWNER, null],
  ['none', OTHER, undefined, OTHER, null],
  ['none', null, 'private', 'anonymous', null],
] as const) {
  test(`an object of ${writer} with ${ACL ?? 'no list'} is ${owner}’s under ${ownership}`, () => {
    const made = newObjectAcl(view, { ...bucket, ownership }, writer, { ACL })
    assert.equal(made.owner, owner)
    assert.deepEqual(made.acl?.map(({ to }) => to) ?? null, grantees)
  })
}
