// What of requests and answers the audit log shows: no secret of any of the models.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hiddenAs,
  requestElement,
  responseElement,
  shownMessage,
} from '../../../gateway/audit/elements.ts'
import { loadModel, SERVICES } from '../../../gateway/aws/model.ts'

const HIDDEN = 'HIDDEN_DUE_TO_SECURITY_REASONS'
const REMOVED = '<sensitiveDataRemoved>'

const SUSPICIOUS = new RegExp(
  [
    'password|secret|userdata|privatekey|keymaterial|sharedkey|seed|token|credentials?$|signature',
    'code\\d|assertion|sampleconf|gatewayconf|qrcode|decoded',
  ].join('|'),
  'i',
)
/** Sound like secrets and are none: structures that hold them deeper, public halves, names. */
const HARMLESS = [
  ...['AddPrivateKey', 'AllowUsersToChangePassword', 'AssertionEncryptionMode', 'ClientToken'],
  ...['Credentials', 'ExpirePasswords', 'GlobalEndpointTokenVersion', 'HttpTokens'],
  ...['HttpTokensEnforced', 'IpamExternalResourceVerificationToken'],
  ...['IpamExternalResourceVerificationTokenArn', 'IpamExternalResourceVerificationTokenId'],
  ...['IpamExternalResourceVerificationTokenIds', 'IpamExternalResourceVerificationTokens'],
  ...['LifecycleActionToken', 'MaxPasswordAge', 'MinimumPasswordLength'],
  ...['MinimumSessionTokenSize', 'NextToken', 'PasswordLastUsed', 'PasswordPolicy'],
  ...['PasswordResetRequired', 'PasswordReusePrevention', 'PreSharedKeyArn'],
  ...['PreSharedKeyStorage', 'PrivateKeyList', 'PublicKeyMaterial', 'PurchaseToken'],
  ...['RemovePrivateKey', 'ServiceSpecificCredential', 'ServiceSpecificCredentials'],
  ...['SessionTokenSize', 'SessionTokenUtilization', 'Signature', 'SqlServerCredentials'],
  ...['SubjectFromWebIdentityToken', 'TokenEndpoint', 'TokenName'],
  ...['TransitGatewayConfiguration', 'UseExistingClientSecret'],
]

test('hiddenAs hides every member of the models that sounds like a secret and is one', () => {
  const members = SERVICES.flatMap((service) => loadModel(service).shapes).flatMap((shape) =>
    shape[0] === 'o' ? shape[2].map(({ n }) => n) : [],
  )
  const shown = new Set(members.filter((n) => SUSPICIOUS.test(n) && hiddenAs(n) === null))
  assert.deepEqual([...shown].sort(), HARMLESS.sort())
})

for (const [what, input, want] of [
  ['nothing as null', {}, null],
  [
    'user data, wherever it is',
    { UserData: 'c2VjcmV0', LaunchTemplateData: { UserData: 'c2VjcmV0', ImageId: 'ami-1' } },
    { userData: REMOVED, launchTemplateData: { userData: REMOVED, imageId: 'ami-1' } },
  ],
  [
    'user data as an attribute by name',
    { InstanceId: 'i-1', Attribute: 'userData', Value: 'c2VjcmV0' },
    { instanceId: 'i-1', attribute: 'userData', value: REMOVED },
  ],
  [
    'user data as an attribute of its own',
    { InstanceId: 'i-1', UserData: { Value: new Uint8Array([1]) } },
    { instanceId: 'i-1', userData: REMOVED },
  ],
  [
    'the value of another attribute',
    { Attribute: 'instanceType', Value: 'm5.large' },
    { attribute: 'instanceType', value: 'm5.large' },
  ],
  [
    'passwords',
    { UserName: 'ann', Password: 'hunter2', PasswordResetRequired: false },
    { userName: 'ann', password: HIDDEN, passwordResetRequired: false },
  ],
  [
    'lists, times, bytes and absent members',
    {
      A: [{ B: 1 }, 'c'],
      At: new Date(0),
      PublicKeyMaterial: new Uint8Array([255]),
      No: undefined,
    },
    { a: [{ b: 1 }, 'c'], at: '1970-01-01T00:00:00Z', publicKeyMaterial: '/w==' },
  ],
  [
    'the keys of a map as they are',
    { Map: Object.assign(Object.create(null), { Key: 'x', Password: 'y' }) },
    { map: { Key: 'x', Password: 'y' } },
  ],
] as const) {
  test(`requestElement shows ${what}`, () => {
    assert.deepEqual(requestElement(input), want)
  })
}

test('responseElement hides keys and tokens, and has what the service adds', () => {
  const Credentials = { AccessKeyId: 'ASIA1', SecretAccessKey: 's', SessionToken: 't' }
  assert.deepEqual(responseElement({ Credentials, Return: true }, { requestId: 'r' }), {
    requestId: 'r',
    credentials: { accessKeyId: 'ASIA1', secretAccessKey: HIDDEN, sessionToken: HIDDEN },
    _return: true,
  })
  assert.deepEqual(responseElement({ KeyName: 'k', KeyMaterial: 'PEM' }, {}), {
    keyName: 'k',
    keyMaterial: HIDDEN,
  })
  assert.equal(responseElement({}, {}), null)
})

test('an element that is too large keeps its short texts and says how large it was', () => {
  const input = { DryRun: true, Ids: Array(20_000).fill('i-0123'), Text: 'x'.repeat(1000) }
  const originalSize = JSON.stringify({ dryRun: true, ids: input.Ids, text: input.Text }).length
  assert.deepEqual(requestElement(input), {
    dryRun: true,
    ...{ omitted: true, originalSize, reason: 'requestParameters too large' },
  })
  const output = { ReservationId: 'r-1', Instances: Array(3_000).fill('i-0123') }
  const answer = responseElement(output, {}) as Record<string, unknown>
  assert.deepEqual([answer['reservationId'], answer['instances']], ['r-1', undefined])
})

test('shownMessage takes a secret value out of a sentence and leaves others', () => {
  const of = (parameter: string): string =>
    `Value (a (b)) for parameter ${parameter} is not base64.`
  assert.equal(
    shownMessage(of('LaunchTemplateData.UserData')),
    `Value (${REMOVED}) for parameter LaunchTemplateData.UserData is not base64.`,
  )
  assert.equal(shownMessage(of('UserData.Value')).includes('(a (b))'), false)
  assert.equal(shownMessage(of('PublicKeyMaterial')), of('PublicKeyMaterial'))
})
