// What launches say of instances, and options that have an action each.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import {
  attributeOf,
  launch,
  openNet,
  shownInstance,
  stoppedInstance,
} from './interface-support.ts'
import { refusal, report, run } from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'

type RunInput = Partial<Ec2Inputs['RunInstances']>

test('what a launch says of an instance is shown, and AWS’s defaults where it says nothing', async (t) => {
  const net = await openNet(t)
  const plain = await shownInstance(net, (await launch(net, { SubnetId: net.a })).InstanceId)
  const { InstanceId } = await launch(net, {
    SubnetId: net.a,
    InstanceInitiatedShutdownBehavior: 'terminate',
    DisableApiStop: true,
    DisableApiTermination: true,
    Monitoring: { Enabled: true },
    MaintenanceOptions: { AutoRecovery: 'disabled' },
    CapacityReservationSpecification: { CapacityReservationPreference: 'none' },
    CpuOptions: { CoreCount: 2, ThreadsPerCore: 1 },
    CreditSpecification: { CpuCredits: 'unlimited' },
    HibernationOptions: { Configured: false },
    EnclaveOptions: { Enabled: false },
    PrivateDnsNameOptions: { HostnameType: 'resource-name' },
  })
  const full = await shownInstance(net, InstanceId)
  const shown = ({ Monitoring, MaintenanceOptions, ...one }: typeof plain) => [
    Monitoring?.State,
    MaintenanceOptions?.AutoRecovery,
    one.CapacityReservationSpecification?.CapacityReservationPreference,
    one.PrivateDnsNameOptions?.HostnameType,
  ]
  assert.deepEqual(shown(plain), ['disabled', 'default', 'open', 'ip-name'])
  assert.deepEqual(shown(full), ['enabled', 'disabled', 'none', 'resource-name'])
  assert.deepEqual(full.CpuOptions, { CoreCount: 2, ThreadsPerCore: 1 })
  assert.deepEqual(full.EnclaveOptions, { Enabled: false })
  assert.deepEqual(full.HibernationOptions, { Configured: false })
  assert.match(full.PrivateDnsName ?? '', new RegExp(`^${InstanceId}\\.`))
  for (const [name, want] of [
    [
      'instanceInitiatedShutdownBehavior',
      { InstanceInitiatedShutdownBehavior: { Value: 'terminate' } },
    ],
    ['disableApiStop', { DisableApiStop: { Value: true } }],
    ['disableApiTermination', { DisableApiTermination: { Value: true } }],
  ] as const) {
    assert.deepEqual(await attributeOf(net, InstanceId, name), want)
  }
})

for (const [what, input, code] of [
  [
    'hibernation',
    { HibernationOptions: { Configured: true } },
    'UnsupportedHibernationConfiguration',
  ],
  ['an enclave', { EnclaveOptions: { Enabled: true } }, 'UnsupportedOperation'],
  [
    'fewer cores',
    { CpuOptions: { CoreCount: 1, ThreadsPerCore: 1 } },
    'InvalidParameterCombination',
  ],
  ['two threads', { CpuOptions: { ThreadsPerCore: 2 } }, 'InvalidParameterCombination'],
  ['SEV', { CpuOptions: { AmdSevSnp: 'enabled' } }, 'UnsupportedOperation'],
  ['throttling', { CreditSpecification: { CpuCredits: 'standard' } }, 'UnsupportedOperation'],
  ['odd credits', { CreditSpecification: { CpuCredits: 'many' } }, 'InvalidParameterValue'],
  [
    'credits of a type that has none',
    { InstanceType: 'm5.large', CreditSpecification: { CpuCredits: 'unlimited' } },
    'InvalidParameterCombination',
  ],
  [
    'an unknown shutdown behaviour',
    { InstanceInitiatedShutdownBehavior: 'reboot' as 'stop' },
    'InvalidParameterValue',
  ],
  [
    'an unknown recovery',
    { MaintenanceOptions: { AutoRecovery: 'never' as 'default' } },
    'InvalidParameterValue',
  ],
  [
    'a capacity reservation',
    {
      CapacityReservationSpecification: {
        CapacityReservationTarget: { CapacityReservationId: 'cr-01234567' },
      },
    },
    'InvalidCapacityReservationId.NotFound',
  ],
  [
    'capacity reservations only',
    {
      CapacityReservationSpecification: {
        CapacityReservationPreference: 'capacity-reservations-only',
      },
    },
    'ReservationCapacityExceeded',
  ],
  [
    'an odd name',
    { PrivateDnsNameOptions: { HostnameType: 'pet-name' as 'ip-name' } },
    'InvalidParameterValue',
  ],
] as const satisfies readonly (readonly [string, RunInput, string])[]) {
  test(`RunInstances with ${what} says ${code}`, async (t) => {
    const net = await openNet(t)
    assert.equal(await refusal(launch(net, { SubnetId: net.a, ...input })), code)
  })
}

test('options that have an action each are changed when AWS would change them', async (t) => {
  const net = await openNet(t)
  const { call } = net.cloud
  const InstanceId = await stoppedInstance(net)
  const { InstanceId: pending } = await launch(net, { SubnetId: net.a })
  const reservations = { CapacityReservationPreference: 'none' as const }
  const name = { PrivateDnsHostnameType: 'resource-name' as const }
  const modify = {
    maintenance: (input: object) =>
      refusal(call('ModifyInstanceMaintenanceOptions', { InstanceId, ...input })),
    reservations: (input: object) =>
      refusal(
        call('ModifyInstanceCapacityReservationAttributes', {
          ...{ InstanceId, CapacityReservationSpecification: reservations },
          ...input,
        }),
      ),
    names: (input: object) =>
      refusal(call('ModifyPrivateDnsNameOptions', { InstanceId, ...input })),
    placement: (input: object) =>
      refusal(call('ModifyInstancePlacement', { InstanceId, ...input })),
  }
  for (const [action, input, code] of [
    ['maintenance', { AutoRecovery: 'disabled', DryRun: true }, 'DryRunOperation'],
    ['maintenance', { AutoRecovery: 'disabled' }, 'accepted'],
    ['maintenance', { AutoRecovery: 'often' }, 'InvalidParameterValue'],
    ['maintenance', { RebootMigration: 'default' }, 'UnsupportedOperation'],
    ['maintenance', {}, 'MissingParameter'],
    ['maintenance', { AutoRecovery: 'default', InstanceId: UNKNOWN }, 'InvalidInstanceID.NotFound'],
    ['reservations', { InstanceId: pending }, 'IncorrectInstanceState'],
    ['reservations', { DryRun: true }, 'DryRunOperation'],
    ['reservations', {}, 'accepted'],
    ['reservations', { CapacityReservationSpecification: {} }, 'MissingParameter'],
    ['names', { ...name, InstanceId: pending }, 'IncorrectInstanceState'],
    ['names', { EnableResourceNameDnsARecord: true, ...name }, 'UnsupportedOperation'],
    ['names', { PrivateDnsHostnameType: 'pet-name' }, 'InvalidParameterValue'],
    ['names', { ...name, DryRun: true }, 'DryRunOperation'],
    ['names', name, 'accepted'],
    ['placement', { Tenancy: 'dedicated' }, 'UnsupportedOperation'],
    ['placement', { Affinity: 'host' }, 'UnsupportedOperation'],
    ['placement', { HostId: 'h-1' }, 'UnsupportedOperation'],
    ['placement', {}, 'MissingParameter'],
    ['placement', { Affinity: 'default', InstanceId: pending }, 'IncorrectInstanceState'],
    ['placement', { Affinity: 'default' }, 'accepted'],
  ] as const) {
    assert.equal(await modify[action](input), code, `${action} ${JSON.stringify(input)}`)
  }
  const shown = await shownInstance(net, InstanceId)
  assert.equal(shown.MaintenanceOptions?.AutoRecovery, 'disabled')
  const { CapacityReservationSpecification: specification } = shown
  assert.equal(specification?.CapacityReservationPreference, 'none')
  assert.match(shown.PrivateDnsName ?? '', new RegExp(`^${InstanceId}\\.`))
  assert.equal(shown.NetworkInterfaces?.[0]?.PrivateDnsName, shown.PrivateDnsName)
})

test('MonitorInstances and UnmonitorInstances change what is shown', async (t) => {
  const net = await openNet(t)
  const { call } = net.cloud
  const InstanceId = await stoppedInstance(net)
  const state = async () => (await shownInstance(net, InstanceId)).Monitoring?.State
  const InstanceIds = [InstanceId]
  const dry = call('MonitorInstances', { InstanceIds, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  assert.equal(await state(), 'disabled')
  assert.deepEqual(await call('MonitorInstances', { InstanceIds }), {
    InstanceMonitorings: [{ InstanceId, Monitoring: { State: 'enabled' } }],
  })
  assert.equal(await state(), 'enabled')
  await call('UnmonitorInstances', { InstanceIds })
  assert.equal(await state(), 'disabled')
  for (const [ids, code] of [
    [[], 'MissingParameter'],
    [[InstanceId, UNKNOWN], 'InvalidInstanceID.NotFound'],
    [['i-x'], 'InvalidInstanceID.Malformed'],
  ] as const) {
    assert.equal(await refusal(call('UnmonitorInstances', { InstanceIds: [...ids] })), code)
  }
  await report(net.cloud.state, InstanceId, 'terminated')
  assert.equal(await refusal(call('MonitorInstances', { InstanceIds })), 'IncorrectInstanceState')
})

test('burstable instances are unlimited, the others have no credits', async (t) => {
  const net = await openNet(t)
  const { call } = net.cloud
  const { ImageId } = await shownInstance(net, (await launch(net, { SubnetId: net.a })).InstanceId)
  const [m5 = ''] = await run(net.cloud, { ImageId, SubnetId: net.a, InstanceType: 'm5.large' })
  const { InstanceId: t3 } = await launch(net, { SubnetId: net.a })
  const ask = (input: object) => call('DescribeInstanceCreditSpecifications', input)
  const named = await ask({ InstanceIds: [t3] })
  assert.deepEqual(named.InstanceCreditSpecifications, [
    { InstanceId: t3, CpuCredits: 'unlimited' },
  ])
  const all = await ask({})
  const ids = all.InstanceCreditSpecifications?.map((one) => one.InstanceId) ?? []
  assert.equal(ids.includes(t3) && !ids.includes(m5), true)
  const byFilter = await ask({ Filters: [{ Name: 'instance-id', Values: [m5] }] })
  assert.deepEqual(byFilter.InstanceCreditSpecifications, [])
  assert.equal(await refusal(ask({ InstanceIds: [m5] })), 'UnsupportedOperation')
  assert.equal(await refusal(ask({ InstanceIds: [UNKNOWN] })), 'InvalidInstanceID.NotFound')
  const change = (CpuCredits: string, ...targets: string[]) =>
    call('ModifyInstanceCreditSpecification', {
      InstanceCreditSpecifications: targets.map((InstanceId) => ({ InstanceId, CpuCredits })),
    })
  const answer = await change('unlimited', t3, m5, UNKNOWN)
  assert.deepEqual(answer.SuccessfulInstanceCreditSpecifications, [{ InstanceId: t3 }])
  assert.deepEqual(
    answer.UnsuccessfulInstanceCreditSpecifications?.map((one) => [
      one.InstanceId,
      one.Error?.Code,
    ]),
    [
      [m5, 'InstanceCreditSpecification.NotSupported'],
      [UNKNOWN, 'InvalidInstanceID.NotFound'],
    ],
  )
  const standard = await change('standard', t3)
  assert.equal(
    standard.UnsuccessfulInstanceCreditSpecifications?.[0]?.Error?.Code,
    'InstanceCreditSpecification.NotSupported',
  )
  assert.equal(await refusal(change('many', t3)), 'InvalidParameterValue')
  assert.equal(await refusal(change('unlimited')), 'MissingParameter')
})
