// The walk through the life of EC2's instances: what is asked and changed of them, and their end.

import type { Row } from './row.ts'

const INSTANCE = { InstanceId: '<instance>' }
const ONE = { InstanceIds: ['<instance>'] }
const STATE = 'Reservations.0.Instances.0.State.Name'
export const CHANGE_ROWS: readonly Row[] = [
  [
    'DescribeInstanceAttribute',
    { ...INSTANCE, Attribute: 'userData' },
    { want: { 'UserData.Value': '<userData>' } },
  ],
  [
    'ModifyInstanceAttribute',
    { ...INSTANCE, DisableApiTermination: { Value: true } },
    { argv: ['--instance-id', '<instance>', '--disable-api-termination'] },
  ],
  ['TerminateInstances', ONE, { refused: 'OperationNotPermitted' }],
  [
    'ModifyInstanceAttribute',
    { ...INSTANCE, DisableApiTermination: { Value: false } },
    { argv: ['--instance-id', '<instance>', '--no-disable-api-termination'] },
  ],
  ['ModifyInstanceAttribute', { ...INSTANCE, SourceDestCheck: { Value: false } }],
  ['ResetInstanceAttribute', { ...INSTANCE, Attribute: 'sourceDestCheck' }],
  [
    'DescribeInstanceAttribute',
    { ...INSTANCE, Attribute: 'sourceDestCheck' },
    { want: { 'SourceDestCheck.Value': true } },
  ],
  ['MonitorInstances', ONE, { want: { 'InstanceMonitorings.0.Monitoring.State': '*' } }],
  ['UnmonitorInstances', ONE, { want: { 'InstanceMonitorings.0.InstanceId': '<instance>' } }],
  [
    'ModifyInstanceCreditSpecification',
    { InstanceCreditSpecifications: [{ ...INSTANCE, CpuCredits: 'unlimited' }] },
    { want: { 'SuccessfulInstanceCreditSpecifications.0.InstanceId': '<instance>' } },
  ],
  [
    'DescribeInstanceCreditSpecifications',
    {},
    { want: { 'InstanceCreditSpecifications.*.CpuCredits': 'unlimited' } },
  ],
  [
    'ModifyInstanceMaintenanceOptions',
    { ...INSTANCE, AutoRecovery: 'disabled' },
    { want: { AutoRecovery: 'disabled' } },
  ],
  [
    'ModifyInstanceMetadataOptions',
    { ...INSTANCE, HttpPutResponseHopLimit: 3 },
    { want: { 'InstanceMetadataOptions.HttpPutResponseHopLimit': 3 } },
  ],
  ['ModifyInstanceMetadataDefaults', { HttpTokens: 'required' }, { want: { Return: true } }],
  ['GetInstanceMetadataDefaults', {}, { want: { 'AccountLevel.HttpTokens': 'required' } }],
  ['ReportInstanceStatus', { Instances: ['<instance>'], Status: 'ok', ReasonCodes: ['other'] }],
  [
    'ModifyInstanceEventStartTime',
    { ...INSTANCE, InstanceEventId: 'instance-event-0123', NotBefore: '<later>' },
    { refused: 'InvalidInstanceEventIDNotFound' },
  ],
  ['GetConsoleOutput', { ...INSTANCE, Latest: true }, { want: { Output: '*' } }],
  ['GetConsoleScreenshot', INSTANCE, { want: { ImageData: '~^/9j/' } }],
  ['SendDiagnosticInterrupt', INSTANCE],
  ['GetPasswordData', INSTANCE, { want: { InstanceId: '<instance>' } }],
  ['GetLaunchTemplateData', INSTANCE, { want: { 'LaunchTemplateData.KeyName': 'walk' } }],
  ['RebootInstances', ONE],
  [
    'StopInstances',
    { InstanceIds: ['<second>'] },
    { want: { 'StoppingInstances.0.PreviousState.Name': 'running' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<second>'] },
    { until: true, want: { [STATE]: 'stopped' } },
  ],
  ['DescribeInstances', { InstanceIds: ['<second>'] }, { wait: 'instance_stopped' }],
  ['ModifyInstanceAttribute', { InstanceId: '<second>', InstanceType: { Value: 't3.small' } }],
  [
    'ModifyInstanceCapacityReservationAttributes',
    {
      InstanceId: '<second>',
      CapacityReservationSpecification: { CapacityReservationPreference: 'none' },
    },
    { want: { Return: true } },
  ],
  [
    'ModifyInstancePlacement',
    { InstanceId: '<second>', Affinity: 'default' },
    { want: { Return: true } },
  ],
  [
    'ModifyPrivateDnsNameOptions',
    { InstanceId: '<second>', PrivateDnsHostnameType: 'resource-name' },
    { want: { Return: true } },
  ],
  [
    'StartInstances',
    { InstanceIds: ['<second>'] },
    { want: { 'StartingInstances.0.CurrentState.Name': 'pending' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<second>'] },
    {
      until: true,
      want: { [STATE]: 'running', 'Reservations.0.Instances.0.InstanceType': 't3.small' },
    },
  ],
]

export const INSTANCE_END_ROWS: readonly Row[] = [
  [
    'DeleteFleets',
    { FleetIds: ['<fleet>'], TerminateInstances: true },
    { want: { 'SuccessfulFleetDeletions.0.CurrentFleetState': 'deleted_terminating' } },
  ],
  [
    'TerminateInstances',
    { InstanceIds: ['<instance>', '<second>', '<third>'] },
    { want: { 'TerminatingInstances.*.CurrentState.Name': 'shutting-down' } },
  ],
  ['DescribeInstances', ONE, { until: true, want: { [STATE]: 'terminated' } }],
  [
    'DescribeInstances',
    { InstanceIds: ['<second>'] },
    { until: true, want: { [STATE]: 'terminated' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<third>'] },
    { until: true, want: { [STATE]: 'terminated' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<spot>'] },
    { until: true, want: { [STATE]: 'terminated' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<instance>', '<second>'] },
    { wait: 'instance_terminated' },
  ],
  ['DeleteLaunchTemplate', { LaunchTemplateId: '<template>' }],
  ['DeletePlacementGroup', { GroupName: 'walk' }],
  ['DeleteKeyPair', { KeyPairId: '<key>' }],
  ['DeregisterImage', { ImageId: '<image>' }],
]
