// What parsePolicy takes and what it refuses, with IAM's sentences.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PolicyKind, parsePolicy } from '../../../gateway/iam/policy.ts'

const SYNTAX = 'Syntax errors in policy.'
const LEGACY = 'The policy failed legacy parsing'
const VENDOR = 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.'
const NO_ACTIONS = 'Policy statement must contain actions.'
const NO_RESOURCES = 'Policy statement must contain resources.'

const whole = (statement: string) => `{"Version":"2012-10-17","Statement":${statement}}`
const allow = (elements: string) => whole(`{"Effect":"Allow",${elements}}`)
const about = (resource: string) => allow(`"Action":"*","Resource":${resource}`)
const when = (condition: string) => allow(`"Action":"*","Resource":"*","Condition":${condition}`)
const trusts = (elements: string) => allow(`"Action":"sts:AssumeRole",${elements}`)

type Refused = readonly [policy: string, why: string, kind?: PolicyKind]

const REFUSED: readonly Refused[] = [
  ['', SYNTAX],
  ['{', SYNTAX],
  ['{}', SYNTAX],
  ['[]', SYNTAX],
  ['"Allow"', SYNTAX],
  ['null', SYNTAX],
  ['nonsense', SYNTAX],
  [`${about('"*"')}x`, SYNTAX],
  [`${about('"*"')}${about('"*"')}`, SYNTAX],
  [` ${about('"*"')}`, 'JSON strings must not have leading spaces'],
  [`\n${about('"*"')}`, 'JSON strings must not have leading spaces'],
  [whole('[]'), SYNTAX],
  [whole('null'), SYNTAX],
  [whole('"Allow"'), SYNTAX],
  [whole('[[]]'), SYNTAX],
  ['{"Version":"2012-10-17"}', SYNTAX],
  ['{"Version":"2012-10-18","Statement":[]}', SYNTAX],
  [about('"*"').replace('2012-10-17', '2020-01-01'), SYNTAX],
  [about('"*"').replace('"2012-10-17"', '20121017'), SYNTAX],
  [about('"*"').replace('"Version"', '"version"'), SYNTAX],
  [about('"*"').replace('{', '{"Id":7,'), SYNTAX],
  [about('"*"').replace('{', '{"Other":7,'), SYNTAX],
  [about('"*"').replace('{', '{"Version":"2012-10-17",'), SYNTAX],
  [allow('"Effect":"Deny","Action":"*","Resource":"*"'), SYNTAX],
  [allow('"Action":"*","Resource":"*","Action":"s3:*"'), SYNTAX],
  [allow('"action":"*","Resource":"*"'), SYNTAX],
  [allow('"Action":"*","Resource":"*","Note":"x"'), SYNTAX],
  [allow('"Action":"*","Resource":"*",'), SYNTAX],
  [allow("'Action':'*','Resource':'*'"), SYNTAX],
  [whole('{"Action":"*","Resource":"*"}'), SYNTAX],
  [about('"*"').replace('Allow', 'Permit'), SYNTAX],
  [about('"*"').replace('Allow', 'allow'), LEGACY],
  [about('"*"').replace('"Allow"', '["Allow"]'), SYNTAX],
  [allow('"Resource":"*"'), NO_ACTIONS],
  [allow('"Action":[],"Resource":"*"'), NO_ACTIONS],
  [allow('"Action":{},"Resource":"*"'), SYNTAX],
  [allow('"Action":7,"Resource":"*"'), SYNTAX],
  [allow('"Action":["ec2:*",7],"Resource":"*"'), SYNTAX],
  [allow('"Action":"*","NotAction":"s3:*","Resource":"*"'), SYNTAX],
  [allow('"Action":"","Resource":"*"'), VENDOR],
  [allow('"Action":"RunInstances","Resource":"*"'), VENDOR],
  [allow('"NotAction":"RunInstances","Resource":"*"'), VENDOR],
  [allow('"Action":["ec2:*","ec2*"],"Resource":"*"'), VENDOR],
  [allow('"Action":"ec2:a:b","Resource":"*"'), 'Actions/Condition can contain only one colon.'],
  [allow('"Action":"e c:a","Resource":"*"'), 'Vendor e c is not valid'],
  [allow('"Action":"ec*:a","Resource":"*"'), 'Vendor ec* is not valid'],
  [allow('"Action":"*"'), NO_RESOURCES],
  [about('[]'), NO_RESOURCES],
  [about('7'), SYNTAX],
  [about('[null]'), SYNTAX],
  [allow('"Action":"*","Resource":"*","NotResource":"*"'), SYNTAX],
  [about('""'), 'Resource  must be in ARN format or "*".'],
  [about('"i-1"'), 'Resource i-1 must be in ARN format or "*".'],
  [about('"**"'), 'Resource ** must be in ARN format or "*".'],
  [about('["*","instance/*"]'), 'Resource instance/* must be in ARN format or "*".'],
  [about('"arn:aws"'), 'Resource vendor must be fully qualified and cannot contain regexes.'],
  [
    about('"arn:aws:*:*:*:*"'),
    'Resource vendor must be fully qualified and cannot contain regexes.',
  ],
  [
    about('"arn:aws:ec?:*:*:*"'),
    'Resource vendor must be fully qualified and cannot contain regexes.',
  ],
  [about('"arn:aws::us-east-1:1:instance/*"'), LEGACY],
  [about('"arn:acme:s3:::b"'), 'Partition "acme" is not valid for resource "arn:acme:s3:::b".'],
  [about('"arn:acme"'), 'Partition "acme" is not valid for resource "arn:acme:*:*:*:*".'],
  [
    about('"arn:aws:iam:us-east-1:1:user/a"'),
    'IAM resource arn:aws:iam:us-east-1:1:user/a cannot contain region information.',
  ],
  [
    about('"arn:aws:iam::1:alice"'),
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.',
  ],
  [
    allow('"Action":"*","Resource":"*","Principal":"*"'),
    'Policy document should not specify a principal.',
  ],
  [
    allow('"Action":"*","Resource":"*","NotPrincipal":"*"'),
    'Policy document should not specify a principal.',
    'session',
  ],
  [
    allow('"Sid":"a b","Action":"*","Resource":"*"'),
    'Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*',
  ],
  [allow('"Sid":7,"Action":"*","Resource":"*"'), SYNTAX],
  [
    whole(
      '[{"Sid":"A","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]',
    ),
    'Statement IDs (SID) in a single policy must be unique.',
  ],
  [when('[]'), SYNTAX],
  [when('"x"'), SYNTAX],
  [when('{"StringEquals":"x"}'), SYNTAX],
  [when('{"StringEquals":{"aws:a":{}}}'), SYNTAX],
  [when('{"StringEquals":{"aws:a":[["x"]]}}'), SYNTAX],
  [when('{"StringEquals":{"aws:a":null}}'), SYNTAX],
  [when('{"StringEquals":{"aws:a":"x","AWS:A":"y"}}'), SYNTAX],
  [when('{"StringEquals":{"aws:a":"x","aws:a":"y"}}'), SYNTAX],
  [when('{"StringEquals":{"username":"x"}}'), VENDOR],
  [when('{"StringIs":{"aws:a":"x"}}'), SYNTAX],
  [when('{"StringIs":{}}'), SYNTAX],
  [when('{"stringequals":{"aws:a":"x"}}'), SYNTAX],
  [when('{"ForSomeValues:StringEquals":{"aws:a":"x"}}'), SYNTAX],
  [when('{"ForAnyValue:":{"aws:a":"x"}}'), SYNTAX],
  [when('{"NullIfExists":{"aws:a":"true"}}'), SYNTAX],
  [when('{"StringEqualsIfExistsIfExists":{"aws:a":"x"}}'), SYNTAX],
  [when('{"Null":{"aws:a":"maybe"}}'), LEGACY],
  [when('{"Bool":{"aws:a":"yes"}}'), LEGACY],
  [when('{"NumericEquals":{"aws:a":"ten"}}'), LEGACY],
  [when('{"NumericEquals":{"aws:a":"1e3"}}'), LEGACY],
  [when('{"NumericEquals":{"aws:a":""}}'), LEGACY],
  [when('{"DateEquals":{"aws:a":"tomorrow"}}'), LEGACY],
  [when('{"DateEquals":{"aws:a":"2026-13-01"}}'), LEGACY],
  [when('{"DateEquals":{"aws:a":"2026-02-30"}}'), LEGACY],
  [when('{"DateEquals":{"aws:a":"2026-01-01T25:00:00Z"}}'), LEGACY],
  [when('{"DateEquals":{"aws:a":["2026-01-01","*"]}}'), LEGACY],
  [when('{"IpAddress":{"aws:a":"10.0.0.0/33"}}'), LEGACY],
  [when('{"IpAddress":{"aws:a":"10.0.0"}}'), LEGACY],
  [when('{"IpAddress":{"aws:a":"10.0.0.*"}}'), LEGACY],
  [when('{"IpAddress":{"aws:a":"2001:db8::/129"}}'), LEGACY],
  [when('{"BinaryEquals":{"aws:a":"%%"}}'), LEGACY],
  ['{', 'This policy contains invalid Json', 'trust'],
  [trusts('"Resource":"*"'), 'Missing required field Principal', 'trust'],
  [trusts('"Principal":"*","Resource":"*"'), 'Has prohibited field Resource', 'trust'],
  [trusts('"Principal":"*","NotResource":"*"'), 'Has prohibited field NotResource', 'trust'],
  [trusts('"Principal":"*","NotPrincipal":"*"'), SYNTAX, 'trust'],
  [trusts('"Principal":"alice"'), SYNTAX, 'trust'],
  [trusts('"Principal":["*"]'), SYNTAX, 'trust'],
  [trusts('"Principal":{"User":"alice"}'), SYNTAX, 'trust'],
  [trusts('"Principal":{"AWS":7}'), SYNTAX, 'trust'],
  [
    trusts('"Principal":{}'),
    'Invalid principal in policy: The passed in policy has a statement with no principals!',
    'trust',
  ],
  [
    trusts('"Principal":{"AWS":[]}'),
    'Invalid principal in policy: The passed in policy has a statement with no principals!',
    'trust',
  ],
  [trusts('"Principal":{"AWS":"alice"}'), 'Invalid principal in policy: "AWS":"alice"', 'trust'],
  [trusts('"Principal":{"AWS":"1234"}'), 'Invalid principal in policy: "AWS":"1234"', 'trust'],
  [
    trusts('"Principal":{"AWS":"arn:aws:iam::111122223333:user/*"}'),
    'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/*"',
    'trust',
  ],
  [
    trusts('"Principal":{"AWS":"arn:aws:iam::111122223333:group/a"}'),
    'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/a"',
    'trust',
  ],
  [
    trusts('"Principal":{"Service":"ec2"}'),
    'Invalid principal in policy: "Service":"ec2"',
    'trust',
  ],
  [
    trusts('"Principal":{"Federated":"accounts.example.com"}'),
    'Invalid principal in policy: "Federated":"accounts.example.com"',
    'trust',
  ],
  [
    allow('"Principal":"*","Action":"ec2:RunInstances"'),
    'AssumeRole policy may only specify STS AssumeRole actions.',
    'trust',
  ],
  [
    allow('"Principal":"*","Action":"*"'),
    'AssumeRole policy may only specify STS AssumeRole actions.',
    'trust',
  ],
  [allow('"Principal":"*"'), NO_ACTIONS, 'trust'],
]

for (const [policy, why, kind = 'identity'] of REFUSED) {
  test(`parsePolicy refuses as ${kind} ${JSON.stringify(policy.slice(0, 160))}: ${why}`, () => {
    assert.deepEqual(parsePolicy(policy, kind), { ok: false, why })
  })
}

const TAKEN: readonly (readonly [policy: string, kind?: PolicyKind])[] = [
  [about('"*"')],
  [about('"*"'), 'boundary'],
  [about('"*"'), 'session'],
  [`${about('"*"')}\n  `],
  [about('"*"').replace('"Version":"2012-10-17",', '')],
  [about('"*"').replace('2012-10-17', '2008-10-17')],
  [about('"*"').replace('{', '{"Id":"any thing",')],
  [about('["arn:aws:ec2:*:*:instance/*","arn:aws:s3:::b/*","*"]')],
  [about('"arn:aws:ec2:*:111122223333:instance/${aws:username}"')],
  [about('"arn:aws:iam::aws:policy/ReadOnlyAccess"')],
  [about('"arn:aws:iam::*:role/*"')],
  [about('"arn:aws:iam::111122223333:*"')],
  [whole('[{"Effect":"Allow","NotAction":["ec2:*"],"NotResource":["*"]}]')],
  [allow('"Sid":"","Action":"*","Resource":"*"')],
  [when('{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a*"]}}')],
  [when('{"NumericLessThan":{"ec2:VolumeSize":100}}')],
  [when('{"Bool":{"aws:SecureTransport":true}}')],
  [trusts('"Principal":{"Service":"ec2.amazonaws.com"}'), 'trust'],
  [trusts('"Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/a/b"]}'), 'trust'],
  [allow('"Principal":"*","Action":["sts:AssumeRole","sts:TagSession"]'), 'trust'],
]

for (const [policy, kind = 'identity'] of TAKEN) {
  test(`parsePolicy takes as ${kind} ${JSON.stringify(policy.slice(0, 160))}`, () => {
    assert.equal(parsePolicy(policy, kind).ok, true)
  })
}

test('parsePolicy refuses what is nested deeper than any policy', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  assert.deepEqual(parsePolicy(deep, 'identity'), { ok: false, why: SYNTAX })
})

test('parsePolicy takes the longest policy and a value with every escape', () => {
  const long = about(`["arn:aws:s3:::${'a'.repeat(100_000)}"]`)
  assert.equal(parsePolicy(long, 'identity').ok, true)
  assert.equal(
    parsePolicy(when('{"StringEquals":{"aws:a":"\\u0041\\n\\"\\\\"}}'), 'identity').ok,
    true,
  )
  assert.equal(parsePolicy(when('{"StringEquals":{"aws:a":"\u0007"}}'), 'identity').ok, false)
})
