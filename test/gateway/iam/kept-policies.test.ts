// What the guard keeps of a caller's policies, that it never keeps it too long, and what it does
// not look up before a condition asks.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { Caller } from '../../../gateway/aws/handlers.ts'
import { ec2Asks } from '../../../gateway/iam/ec2-requests.ts'
import { evaluate } from '../../../gateway/iam/evaluate.ts'
import { accessOf, setsOf } from '../../../gateway/iam/principals.ts'
import type {
  GroupRecord,
  ManagedPolicyRecord,
  UserRecord,
} from '../../../gateway/store/iam-records.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State, View } from '../../../gateway/store/state.ts'
import { policyDocument } from './world.ts'

const ACCOUNT = '111122223333'
const USER_ID = 'AIDAAAAAAAAAAAAAAAAAA'
const GROUP_ID = 'AGPAAAAAAAAAAAAAAAAAA'
const POLICY_ARN = `arn:aws:iam::${ACCOUNT}:policy/p`
const COMMON = { account: ACCOUNT, path: '/', createdAtMs: 0 }
const USER: UserRecord = {
  ...{ ...COMMON, id: USER_ID, name: 'ann', attached: [POLICY_ARN], inline: {} },
  ...{ groups: [], boundary: '', tags: {}, login: null },
}
const GROUP: GroupRecord = { ...COMMON, id: GROUP_ID, name: 'ops', attached: [], inline: {} }
const ANN: Caller = {
  ...{ account: ACCOUNT, accessKeyId: 'AKIA', userId: USER_ID },
  userArn: `arn:aws:iam::${ACCOUNT}:user/ann`,
}

test('accessOf follows every change at once, through another state of the store too', async (t) => {
  const { state, other } = await openStates(t)
  const says = async (what: string, want: string): Promise<void> => {
    // The second question of each is answered from what the first one left.
    for (const view of [state.view(), state.view(), await other.fresh(), other.view()]) {
      assert.equal(verdicts(view), want, what)
    }
  }
  const user = (record: Partial<UserRecord>) => put(state, 'iam-user', { ...USER, ...record })
  await user({})
  await says('a policy that is not there', 'none')
  await put(state, 'iam-policy', policy('ec2:*'))
  await says('a policy', 'ec2')
  await put(state, 'iam-policy', policy('s3:*'))
  await says('another document', 's3')
  await user({ groups: [GROUP_ID] })
  await says('a group that is not there', 's3')
  await put(state, 'iam-group', { ...GROUP, inline: { all: policyDocument('ec2:*') } })
  await says('a group', 'ec2 s3')
  await put(state, 'iam-group', { ...GROUP, attached: ['arn:aws:iam::aws:policy/PowerUserAccess'] })
  await says('another policy of the group', 'ec2 s3 sts')
  await put(state, 'iam-group', { ...GROUP, attached: [POLICY_ARN] })
  await says('what the user has as well', 's3')
  await user({ groups: [GROUP_ID], inline: { own: policyDocument('sts:*') } })
  await says('an inline policy', 's3 sts')
  const bounded = { inline: { own: policyDocument(['ec2:*', 'sts:*']) }, boundary: POLICY_ARN }
  await user(bounded)
  await says('a boundary', 's3')
  await put(state, 'iam-policy', policy(['s3:*', 'ec2:*']))
  await says('another document of the boundary', 'ec2 s3')
  await state.update((tx) => tx.delete('iam-policy', ACCOUNT, 'p'))
  await says('a boundary that is gone', 'none')
  await user({ ...bounded, boundary: '' })
  await says('no boundary', 'ec2 sts')
  await state.update((tx) => tx.delete('iam-user', ACCOUNT, 'ann'))
  await says('nobody', 'none')
})

test('setsOf is the same as long as nothing of the user changes', async (t) => {
  const { state } = await openStates(t)
  await put(state, 'iam-user', { ...USER, groups: [GROUP_ID] })
  await put(state, 'iam-group', GROUP)
  await put(state, 'iam-policy', policy('ec2:*'))
  const [user] = state.view().by('iam-user', 'id', USER_ID)
  assert.ok(user)
  const before = setsOf(state.view(), user)
  await put(state, 'iam-policy', { ...policy('s3:*'), name: 'q' })
  assert.equal(setsOf(state.view(), user), before)
  await put(state, 'iam-policy', policy('s3:*'))
  assert.notEqual(setsOf(state.view(), user), before)
})

test("ec2Asks reads a resource's record when a condition asks for its keys, and once", () => {
  const read: string[] = []
  const get = (kind: string): null => {
    read.push(kind)
    return null
  }
  const view = { get } as unknown as View
  const place = { view, account: ACCOUNT, region: 'here' }
  const [ask] = ec2Asks(place, 'StopInstances', { InstanceIds: ['i-0123456789abcdef0'] })
  assert.deepEqual(read, [])
  assert.deepEqual(ask?.keys.get('ec2:instanceid'), ['i-0123456789abcdef0'])
  assert.equal(ask?.keys.has('ec2:vpc'), false)
  assert.deepEqual(read, ['instance'])
})

async function openStates(t: TestContext): Promise<{ state: State; other: State }> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-iam-'))
  const store = await openSqlite({ file: join(dir, 'store.db'), log: silentLog })
  const open = () => openState({ store, clock: systemClock, log: silentLog })
  const [state, other] = [await open(), await open()]
  t.after(async () => {
    await state.close()
    await other.close()
    await store.close()
    await rm(dir, { recursive: true })
  })
  return { state, other }
}

async function put<K extends 'iam-user' | 'iam-group' | 'iam-policy'>(
  state: State,
  kind: K,
  record: {
    'iam-user': UserRecord
    'iam-group': GroupRecord
    'iam-policy': ManagedPolicyRecord
  }[K],
): Promise<void> {
  await state.update((tx) => tx.put(kind, [ACCOUNT, record.name], record as never))
}

function policy(action: string | readonly string[]): ManagedPolicyRecord {
  const versions = [{ id: 'v1', document: policyDocument(action), createdAtMs: 0 }]
  return {
    ...{ ...COMMON, id: 'ANPA', name: 'p', description: '', tags: {} },
    ...{ versions, defaultVersion: 'v1', nextVersion: 2, updatedAtMs: 0 },
  }
}

/** The services of which the caller may something, or `none`. */
function verdicts(view: View): string {
  const { policies, principal } = accessOf(view, ANN)
  const may = (action: string): boolean =>
    evaluate(policies, { action, resource: '*', principal, conditions: new Map() }).allowed
  const all = { ec2: 'ec2:RunInstances', s3: 's3:GetObject', sts: 'sts:AssumeRole' }
  const found = Object.entries(all).filter(([, action]) => may(action))
  return found.map(([service]) => service).join(' ') || 'none'
}
