// What is asked of guests: screenshots, diagnostic interrupts, passwords.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalleeError } from '../../../common/errors.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type { AskGuest } from '../../../gateway/ec2/guest-actions.ts'
import {
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
} from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'

test('GetConsoleScreenshot and SendDiagnosticInterrupt ask the host of an instance that runs', async (t) => {
  const asked: unknown[] = []
  const askGuest: AskGuest = async (kind, { id, rack, host }) => {
    asked.push([kind, id, rack, host])
    return { payload: Buffer.from('picture'), atMs: START_MS }
  }
  const cloud = await openCloud(t, { askGuest })
  const { call } = cloud
  const [InstanceId = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const { rack, host } = cloud.state.view().get('instance', InstanceId) ?? {}
  for (const action of ['GetConsoleScreenshot', 'SendDiagnosticInterrupt'] as const) {
    const early = await refusal(call(action, { InstanceId }))
    assert.equal(early, 'IncorrectInstanceState')
  }
  await report(cloud.state, InstanceId, 'running')
  for (const action of ['GetConsoleScreenshot', 'SendDiagnosticInterrupt'] as const) {
    assert.equal(await refusal(call(action, { InstanceId, DryRun: true })), 'DryRunOperation')
    for (const [id, code] of [
      [UNKNOWN, 'InvalidInstanceID.NotFound'],
      ['i-x', 'InvalidInstanceID.Malformed'],
      [undefined, 'MissingParameter'],
    ] as const) {
      assert.equal(await refusal(call(action, { InstanceId: id })), code)
    }
    const others = call(action, { InstanceId }, { account: OTHER_ACCOUNT })
    assert.equal(await refusal(others), 'InvalidInstanceID.NotFound')
  }
  assert.deepEqual(asked, [])
  const { ImageData } = await call('GetConsoleScreenshot', { InstanceId })
  assert.equal(Buffer.from(ImageData ?? '', 'base64').toString(), 'picture')
  await call('GetConsoleScreenshot', { InstanceId, WakeUp: true })
  await call('SendDiagnosticInterrupt', { InstanceId })
  assert.deepEqual(asked, [
    ['screenshot', InstanceId, rack, host],
    ['wake-and-screenshot', InstanceId, rack, host],
    ['diagnostic-interrupt', InstanceId, rack, host],
  ])
})

test('GetConsoleScreenshot says Unavailable, 503, when the host cannot', async (t) => {
  const cloud = await openCloud(t, {
    askGuest: async () => {
      throw new MalleeError('RackAway', 'rack a is away')
    },
  })
  const [InstanceId = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  await report(cloud.state, InstanceId, 'running')
  await assert.rejects(
    cloud.call('GetConsoleScreenshot', { InstanceId }),
    (error) => error instanceof ApiError && error.code === 'Unavailable' && error.status === 503,
  )
})

test('GetPasswordData is empty, as for every image that is not Windows', async (t) => {
  const cloud = await openCloud(t)
  const [InstanceId = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const answer = await cloud.call('GetPasswordData', { InstanceId })
  assert.deepEqual(answer, { InstanceId, Timestamp: new Date(START_MS), PasswordData: '' })
  const dry = cloud.call('GetPasswordData', { InstanceId, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  const unknown = cloud.call('GetPasswordData', { InstanceId: UNKNOWN })
  assert.equal(await refusal(unknown), 'InvalidInstanceID.NotFound')
})
