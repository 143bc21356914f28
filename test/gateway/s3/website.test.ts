// What no bucket can be as a website: each rule with a configuration that breaks it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WebsiteConfiguration } from '@aws-sdk/client-s3'
import type { BucketParts } from '../../../gateway/s3/buckets/bucket.ts'
import { websiteHandlers } from '../../../gateway/s3/buckets/website.ts'
import type { S3Call } from '../../../gateway/s3/wire/call.ts'

// Refused before anything is looked up.
const { PutBucketWebsite } = websiteHandlers({} as BucketParts)
const CALL = {} as S3Call<never>
const INDEX = { IndexDocument: { Suffix: 'index.html' } }
const rule = (more: object): object => ({ ...INDEX, RoutingRules: [{ Redirect: {}, ...more }] })

for (const [what, wish, code] of [
  ['no index document', {}, 'InvalidArgument'],
  ['an index document with a slash', { IndexDocument: { Suffix: 'a/b' } }, 'InvalidArgument'],
  ['an empty index document', { IndexDocument: { Suffix: '' } }, 'InvalidArgument'],
  ['an empty error document', { ...INDEX, ErrorDocument: { Key: '' } }, 'InvalidArgument'],
  [
    ...['a redirect of everything with an index document'],
    ...[{ ...INDEX, RedirectAllRequestsTo: { HostName: 'a' } }, 'InvalidArgument'],
  ],
  ['a redirect to no host', { RedirectAllRequestsTo: { HostName: ' ' } }, 'InvalidRequest'],
  ['no rule', { ...INDEX, RoutingRules: [] }, 'MalformedXML'],
  ['a rule that does nothing', rule({}), 'MalformedXML'],
  [
    'a condition that is empty',
    rule({ Condition: {}, Redirect: { HostName: 'a' } }),
    'InvalidRequest',
  ],
  [
    ...['a rule with a key and a prefix'],
    ...[rule({ Redirect: { ReplaceKeyWith: 'a', ReplaceKeyPrefixWith: 'b' } }), 'InvalidRequest'],
  ],
  ['a blank host', rule({ Redirect: { HostName: '' } }), 'InvalidRequest'],
  ['a redirect by 300', rule({ Redirect: { HttpRedirectCode: '300' } }), 'InvalidRequest'],
  ['a redirect by 314', rule({ Redirect: { HttpRedirectCode: '314' } }), 'InvalidRequest'],
  [
    ...['a rule for 302'],
    rule({ Condition: { HttpErrorCodeReturnedEquals: '302' }, Redirect: { HostName: 'a' } }),
    'InvalidRequest',
  ],
  ['a long key', rule({ Redirect: { ReplaceKeyWith: 'k'.repeat(1_025) } }), 'InvalidRequest'],
  [
    '51 rules',
    { ...INDEX, RoutingRules: Array(51).fill({ Redirect: { HostName: 'a' } }) },
    'InvalidRequest',
  ],
  [
    ...['more than 128 KiB'],
    {
      ...INDEX,
      RoutingRules: Array(50).fill({
        Condition: { KeyPrefixEquals: 'k'.repeat(1_024) },
        Redirect: { HostName: 'h'.repeat(1_024), ReplaceKeyWith: '"'.repeat(1_000) },
      }),
    },
    'MaxMessageLengthExceeded',
  ],
] as unknown as readonly (readonly [string, WebsiteConfiguration, string])[]) {
  test(`PutBucketWebsite refuses ${what} with ${code}`, async () => {
    const input = { Bucket: 'site', WebsiteConfiguration: wish }
    await assert.rejects(PutBucketWebsite?.({ ...CALL, input }) ?? Promise.resolve(), { code })
  })
}
