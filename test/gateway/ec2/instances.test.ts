// Instances after their start: shown, rebooted, terminated, purged; their status and console.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalleeError } from '../../../common/errors.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { withReport } from '../../../gateway/federation/reports.ts'
import {
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
  setHost,
} from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'
const HOUR_MS = 3_600_000

test('DescribeInstances shows a whole instance, and nothing that is not true', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const [id = ''] = await run(cloud, {
    ImageId,
    ClientToken: 'token',
    TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'web' }] }],
  })
  await report(cloud.state, id, 'running')
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  assert.equal(Reservations?.[0]?.OwnerId, '111122223333')
  const instance = Reservations?.[0]?.Instances?.[0]
  const subnets = cloud.state.view().all('subnet')
  const subnet = subnets.find((one) => one.account !== OTHER_ACCOUNT)
  assert.deepEqual(instance?.State, { Code: 16, Name: 'running' })
  assert.deepEqual(instance?.Placement, {
    AvailabilityZone: `${REGION}-a`,
    AvailabilityZoneId: `${REGION}-az1`,
    GroupName: '',
    Tenancy: 'default',
  })
  assert.equal(instance?.SubnetId, subnet?.id)
  assert.equal(instance?.VpcId, subnet?.vpc)
  assert.equal(instance?.LaunchTime?.getTime(), START_MS)
  assert.equal(instance?.RootDeviceType, 'instance-store')
  assert.equal(instance?.EbsOptimized, false)
  assert.deepEqual(instance?.MetadataOptions, {
    State: 'applied',
    HttpTokens: 'required',
    HttpPutResponseHopLimit: 2,
    HttpEndpoint: 'enabled',
    HttpProtocolIpv6: 'disabled',
    InstanceMetadataTags: 'disabled',
  })
  assert.equal(instance?.SourceDestCheck, true)
  assert.equal(instance?.ClientToken, 'token')
  assert.deepEqual(instance?.Tags, [{ Key: 'Name', Value: 'web' }])
  assert.deepEqual(
    instance?.SecurityGroups?.map((group) => group.GroupName),
    ['default'],
  )
  const card = instance?.NetworkInterfaces?.[0]
  assert.match(card?.NetworkInterfaceId ?? '', /^eni-[0-9a-f]{17}$/)
  assert.equal(card?.Attachment?.Status, 'attached')
  assert.equal(card?.PrivateIpAddress, instance?.PrivateIpAddress)
})

test('DescribeInstances refuses a malformed id, an unknown one and another account’s', async (t) => {
  const cloud = await openCloud(t)
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const ask = (ids: string[], account?: string): Promise<string> =>
    refusal(cloud.call('DescribeInstances', { InstanceIds: ids }, account ? { account } : {}))
  assert.equal(await ask([id]), 'accepted')
  assert.equal(await ask([id, 'i-zz']), 'InvalidInstanceID.Malformed')
  assert.equal(await ask([id, 'a/b']), 'InvalidInstanceID.Malformed')
  assert.equal(await ask([id, UNKNOWN]), 'InvalidInstanceID.NotFound')
  assert.equal(await ask([id], OTHER_ACCOUNT), 'InvalidInstanceID.NotFound')
  const others = await cloud.call('DescribeInstances', {}, { account: OTHER_ACCOUNT })
  assert.deepEqual(others.Reservations, [])
})

test('TerminateInstances says shutting-down, can be repeated, and ends when the host says so', async (t) => {
  const cloud = await openCloud(t)
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  await report(cloud.state, id, 'running')
  const terminate = async (): Promise<(string | undefined)[]> => {
    const answer = await cloud.call('TerminateInstances', { InstanceIds: [id] })
    const [change] = answer.TerminatingInstances ?? []
    return [change?.PreviousState?.Name, change?.CurrentState?.Name]
  }
  assert.deepEqual(await terminate(), ['running', 'shutting-down'])
  assert.deepEqual(await terminate(), ['shutting-down', 'shutting-down'])
  const record = cloud.state.view().get('instance', id)
  assert.equal(record?.desired, 'terminated')
  assert.equal(record?.stateTransitionReason, 'User initiated (2026-11-22 12:00:00 GMT)')
  await report(cloud.state, id, 'terminated')
  assert.deepEqual(await terminate(), ['terminated', 'terminated'])
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  const instance = Reservations?.[0]?.Instances?.[0]
  assert.equal(instance?.StateReason?.Code, 'Client.UserInitiatedShutdown')
  assert.deepEqual(instance?.NetworkInterfaces, [])
  assert.equal(instance?.PrivateIpAddress, undefined)
})

test('TerminateInstances with one unknown id ends none', async (t) => {
  const cloud = await openCloud(t)
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const call = (ids: string[] | undefined, DryRun = false): Promise<string> =>
    refusal(cloud.call('TerminateInstances', { InstanceIds: ids, DryRun }))
  assert.equal(await call([id, UNKNOWN]), 'InvalidInstanceID.NotFound')
  assert.equal(await call([id, 'x']), 'InvalidInstanceID.Malformed')
  assert.equal(await call(undefined), 'MissingParameter')
  assert.equal(await call([]), 'MissingParameter')
  assert.equal(await call([id], true), 'DryRunOperation')
  assert.equal(cloud.state.view().get('instance', id)?.desired, 'running')
})

test('TerminateInstances ends an instance at once whose host left the cloud', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const record = cloud.state.view().get('instance', id)
  await cloud.state.update((tx) => tx.delete('host', 'a', record?.host ?? ''))
  const answer = await cloud.call('TerminateInstances', { InstanceIds: [id] })
  assert.equal(answer.TerminatingInstances?.[0]?.CurrentState?.Name, 'terminated')
  assert.deepEqual(cloud.state.view().all('interface'), [])
})

test('purgeTerminated hides a terminated instance after an hour, with its tags', async (t) => {
  const cloud = await openCloud(t)
  const TagSpecifications = [
    { ResourceType: 'instance' as const, Tags: [{ Key: 'Name', Value: 'web' }] },
    { ResourceType: 'network-interface' as const, Tags: [{ Key: 'Name', Value: 'card' }] },
  ]
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud), TagSpecifications })
  assert.equal(cloud.state.view().all('tags').length, 2)
  await report(cloud.state, id, 'terminated')
  await purgeTerminated(cloud.state, START_MS + HOUR_MS)
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  assert.deepEqual(Reservations?.[0]?.Instances?.[0]?.Tags, [{ Key: 'Name', Value: 'web' }])
  await purgeTerminated(cloud.state, START_MS + HOUR_MS + 1)
  const gone = cloud.call('DescribeInstances', { InstanceIds: [id] })
  assert.equal(await refusal(gone), 'InvalidInstanceID.NotFound')
  assert.deepEqual(cloud.state.view().all('tags'), [])
})

test('RebootInstances asks for one reset more, and not of what is ending', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const [first = '', second = ''] = await run(cloud, { ImageId, count: 2 })
  await cloud.call('RebootInstances', { InstanceIds: [first] })
  await cloud.call('RebootInstances', { InstanceIds: [first] })
  assert.equal(cloud.state.view().get('instance', first)?.rebootCount, 2)
  await cloud.call('TerminateInstances', { InstanceIds: [second] })
  const both = cloud.call('RebootInstances', { InstanceIds: [first, second] })
  assert.equal(await refusal(both), 'IncorrectInstanceState')
  const unknown = cloud.call('RebootInstances', { InstanceIds: [first, UNKNOWN] })
  assert.equal(await refusal(unknown), 'InvalidInstanceID.NotFound')
  assert.equal(cloud.state.view().get('instance', first)?.rebootCount, 2)
})

test('DescribeInstanceStatus shows running instances, and their hosts’ word for them', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const [running = '', pending = ''] = await run(cloud, { ImageId, count: 2 })
  await report(cloud.state, running, 'running')
  const ask = async (all: boolean): Promise<(string | undefined)[][]> => {
    const input = { IncludeAllInstances: all }
    const { InstanceStatuses } = await cloud.call('DescribeInstanceStatus', input)
    return (InstanceStatuses ?? []).map((one) => [
      one.InstanceId,
      one.SystemStatus?.Status,
      one.InstanceStatus?.Status,
    ])
  }
  assert.deepEqual(await ask(false), [[running, 'ok', 'ok']])
  assert.deepEqual((await ask(true)).toSorted(), [
    ...[
      [running, 'ok', 'ok'],
      [pending, 'initializing', 'initializing'],
    ].toSorted(),
  ])
  await setHost(cloud.state, 'a', 'a0', { connected: false })
  assert.deepEqual(await ask(false), [[running, 'impaired', 'insufficient-data']])
})

test('DescribeInstanceStatus says since when a guest does not answer, or its host is away', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const ask = async () => {
    const { InstanceStatuses } = await cloud.call('DescribeInstanceStatus', { InstanceIds: [id] })
    const [one] = InstanceStatuses ?? []
    return [one?.SystemStatus, one?.InstanceStatus].map((status) => {
      const [detail] = status?.Details ?? []
      return [status?.Status, detail?.Status, detail?.ImpairedSince?.getTime()]
    })
  }
  const observe = (guest: 'initializing' | 'passed' | 'failed') =>
    cloud.state.update(async (tx) => {
      const record = await tx.get('instance', id)
      assert.ok(record)
      const observed = { state: 'running', sinceMs: START_MS, guest, guestSinceMs: START_MS + 5 }
      await tx.put('instance', [id], { ...record, state: 'running', observed })
    })
  const well = ['ok', 'passed', undefined]
  await observe('initializing')
  assert.deepEqual(await ask(), [well, ['initializing', 'initializing', undefined]])
  await observe('passed')
  assert.deepEqual(await ask(), [well, well])
  await observe('failed')
  assert.deepEqual(await ask(), [well, ['impaired', 'failed', START_MS + 5]])
  const byStatus = { Name: 'instance-status.status', Values: ['impaired'] }
  const found = await cloud.call('DescribeInstanceStatus', { Filters: [byStatus] })
  assert.equal(found.InstanceStatuses?.length, 1)
  const { host } = cloud.state.view().get('instance', id) ?? { host: '' }
  await cloud.state.update(async (tx) => {
    const record = await tx.get('host', 'a', host)
    assert.ok(record?.status)
    const status = { ...record.status, connected: false }
    await tx.put('host', ['a', host], withReport(record, status, START_MS + 9))
  })
  const unknown = ['insufficient-data', 'insufficient-data', undefined]
  assert.deepEqual(await ask(), [['impaired', 'failed', START_MS + 9], unknown])
})

test('ReportInstanceStatus and ModifyInstanceEventStartTime check what they are told', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const tell = (input: object) =>
    refusal(
      cloud.call('ReportInstanceStatus', {
        ...{ Instances: [id], Status: 'impaired', ReasonCodes: ['unresponsive'] },
        ...input,
      }),
    )
  for (const [input, code] of [
    [{}, 'accepted'],
    [{ DryRun: true }, 'DryRunOperation'],
    [{ Status: 'odd' }, 'InvalidParameterValue'],
    [{ ReasonCodes: ['odd'] }, 'InvalidParameterValue'],
    [{ ReasonCodes: [] }, 'MissingParameter'],
    [{ Instances: [UNKNOWN] }, 'InvalidInstanceID.NotFound'],
  ] as const) {
    assert.equal(await tell(input), code, JSON.stringify(input))
  }
  const move = (InstanceId: string) =>
    refusal(
      cloud.call('ModifyInstanceEventStartTime', {
        ...{ InstanceId, InstanceEventId: 'instance-event-01234567' },
        NotBefore: new Date(START_MS),
      }),
    )
  assert.equal(await move(id), 'InvalidInstanceEventIDNotFound')
  assert.equal(await move(UNKNOWN), 'InvalidInstanceID.NotFound')
})

test('GetConsoleOutput hands out what the host sends, in base64', async (t) => {
  const asked: string[][] = []
  const cloud = await openCloud(t, {
    consoleOutput: async (...where) => {
      asked.push(where)
      return { payload: Buffer.from('login: '), atMs: START_MS + 5 }
    },
  })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const record = cloud.state.view().get('instance', id)
  const answer = await cloud.call('GetConsoleOutput', { InstanceId: id })
  assert.equal(Buffer.from(answer.Output ?? '', 'base64').toString(), 'login: ')
  assert.equal(answer.Timestamp?.getTime(), START_MS + 5)
  assert.deepEqual(asked, [[id, record?.rack, record?.host]])
  for (const Latest of [true, false]) {
    const { Output } = await cloud.call('GetConsoleOutput', { InstanceId: id, Latest })
    assert.equal(Output, answer.Output, 'the host is asked now, whatever is wanted')
  }
  assert.equal(asked.length, 3)
  await report(cloud.state, id, 'terminated')
  assert.equal((await cloud.call('GetConsoleOutput', { InstanceId: id })).Output, '')
  assert.equal(asked.length, 3, 'nobody has the console of a terminated instance')
})

test('GetConsoleOutput says Unavailable, 503, when the host cannot be asked', async (t) => {
  const cloud = await openCloud(t, {
    consoleOutput: async () => {
      throw new MalleeError('RackAway', 'rack a is away')
    },
  })
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  assert.equal((await cloud.call('GetConsoleOutput', { InstanceId: id })).Output, '')
  await report(cloud.state, id, 'running')
  await assert.rejects(
    cloud.call('GetConsoleOutput', { InstanceId: id }),
    (error) => error instanceof ApiError && error.code === 'Unavailable' && error.status === 503,
  )
  const unknown = cloud.call('GetConsoleOutput', { InstanceId: UNKNOWN })
  assert.equal(await refusal(unknown), 'InvalidInstanceID.NotFound')
})
