// What each call to IAM asks policies for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { iamAsks } from '../../../gateway/iam/iam-requests.ts'
import { iamHandlers } from '../../../gateway/iam/index.ts'
import { testSealer } from '../../support/sealer.ts'
import { ACCOUNT, openCloud, REGION } from '../ec2/support.ts'
import { ALICE } from './matrix.ts'

const IAM = `arn:aws:iam::${ACCOUNT}`

/** Service Authorization Reference: those without a resource. */
const OF_THE_ACCOUNT = [
  ...['CreateAccountAlias', 'DeleteAccountAlias', 'DeleteAccountPasswordPolicy'],
  ...['GetAccountAuthorizationDetails', 'GetAccountPasswordPolicy', 'GetAccountSummary'],
  // Of the policies in the request; or of whom it names, who is nobody here.
  ...['GetContextKeysForCustomPolicy', 'GetContextKeysForPrincipalPolicy'],
  ...['ListAccountAliases', 'ListGroups', 'ListInstanceProfiles', 'ListPolicies', 'ListRoles'],
  ...['ListUsers', 'SimulateCustomPolicy', 'SimulatePrincipalPolicy'],
  'UpdateAccountPasswordPolicy',
]

test('every action that IAM answers is about what it names, or about the account', async (t) => {
  const { state } = await openCloud(t)
  const sealer = await testSealer(t)
  const handlers = iamHandlers({ state, sealer, randomHex: () => '' })
  const place = { view: state.view(), region: REGION, account: ACCOUNT }
  const access = { policies: 'root', principal: ALICE, keys: new Map() } as const
  const without = Object.keys(handlers).filter(
    (action) => iamAsks(place, access, action, {})[0]?.resource === '*',
  )
  assert.deepEqual(without.sort(), OF_THE_ACCOUNT)
})

for (const [action, input, want] of [
  ['CreateUser', { UserName: 'bob', Path: '/dev/' }, [`${IAM}:user/dev/bob`]],
  ['CreateUser', { UserName: 'bob' }, [`${IAM}:user/bob`]],
  ['GetUser', { UserName: 'bob', Path: '/dev/' }, [`${IAM}:user/bob`]],
  ['GetUser', {}, [ALICE.arn]],
  ['CreateAccessKey', {}, [ALICE.arn]],
  ['CreateRole', { RoleName: 'r' }, [`${IAM}:role/r`]],
  ['CreateGroup', { GroupName: 'g' }, [`${IAM}:group/g`]],
  ['AddUserToGroup', { GroupName: 'g', UserName: 'bob' }, [`${IAM}:group/g`]],
  ['CreateInstanceProfile', { InstanceProfileName: 'p' }, [`${IAM}:instance-profile/p`]],
  ['CreatePolicy', { PolicyName: 'p', Path: '/x/' }, [`${IAM}:policy/x/p`]],
  ['GetPolicy', { PolicyArn: `${IAM}:policy/x/p` }, [`${IAM}:policy/x/p`]],
  ['AttachUserPolicy', { UserName: 'bob', PolicyArn: `${IAM}:policy/p` }, [`${IAM}:user/bob`]],
  ['UpdateUser', { UserName: 'bob', NewPath: '/a/' }, [`${IAM}:user/bob`, `${IAM}:user/a/bob`]],
  ['UpdateGroup', { GroupName: 'g', NewGroupName: 'h' }, [`${IAM}:group/g`, `${IAM}:group/h`]],
  ['UpdateUser', { UserName: 'bob' }, [`${IAM}:user/bob`]],
  ['SimulatePrincipalPolicy', { PolicySourceArn: `${IAM}:user/bob` }, [`${IAM}:user/bob`]],
  ['GetContextKeysForPrincipalPolicy', { PolicySourceArn: `${IAM}:role/r` }, [`${IAM}:role/r`]],
  ['ListUsers', {}, ['*']],
  ['ListUsers', { PathPrefix: '/a/' }, ['*']],
] as const) {
  test(`${action} ${JSON.stringify(input)} is about ${want.join(' and ')}`, async (t) => {
    const { state } = await openCloud(t)
    const place = { view: state.view(), region: REGION, account: ACCOUNT }
    const access = { policies: 'root', principal: ALICE, keys: new Map() } as const
    const asks = iamAsks(place, access, action, input)
    assert.deepEqual(
      asks.map(({ resource }) => resource),
      want,
    )
    assert.ok(asks.every((ask) => ask.action === `iam:${action}`))
  })
}
