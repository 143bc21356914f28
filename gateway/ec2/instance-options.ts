// Options of an instance that have an action each: maintenance, capacity reservations, placement,
// names, detailed monitoring.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InstanceRecord, InstanceSettings } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { namedInStore } from './ids.ts'
import { endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import {
  parseAutoRecovery,
  parseHostnameType,
  parseReservations,
  settingsOf,
} from './instance-settings.ts'
import { hostnameOf } from './interface-shape.ts'
import { alive, mustBeStopped } from './modify-instance-attribute.ts'

type OptionHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'ModifyInstanceMaintenanceOptions'
    | 'ModifyInstanceCapacityReservationAttributes'
    | 'ModifyInstancePlacement'
    | 'ModifyPrivateDnsNameOptions'
    | 'MonitorInstances'
    | 'UnmonitorInstances'
  >
>

const MAINTENANCE_KNOWN = new Set(['InstanceId', 'AutoRecovery', 'DryRun'])
const PLACEMENT_KNOWN = new Set(['InstanceId', 'Tenancy', 'DryRun'])
const PLACEMENT_HARMLESS = new Map<string, readonly unknown[]>([['Affinity', ['default']]])
const NAMES_KNOWN = new Set(['InstanceId', 'PrivateDnsHostnameType', 'DryRun'])
const NAMES_HARMLESS = new Map<string, readonly unknown[]>([
  ['EnableResourceNameDnsARecord', [false]],
  ['EnableResourceNameDnsAAAARecord', [false]],
])

export function instanceOptionHandlers({ state }: { state: State }): OptionHandlers {
  return {
    ModifyInstanceMaintenanceOptions: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, MAINTENANCE_KNOWN, new Map())
      const autoRecovery = required('AutoRecovery', parseAutoRecovery(input.AutoRecovery))
      await state.update(async (tx) => {
        await set(tx, await alive(tx, id, caller.account), { autoRecovery })
        endDryRun(input)
      })
      return { InstanceId: id, AutoRecovery: autoRecovery }
    },

    ModifyInstanceCapacityReservationAttributes: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const name = 'CapacityReservationSpecification'
      const asked = parseReservations(required(name, input.CapacityReservationSpecification))
      const capacityReservations = required(`${name}.CapacityReservationPreference`, asked)
      await state.update(async (tx) => {
        const record = await alive(tx, id, caller.account)
        mustBeStopped(record)
        await set(tx, record, { capacityReservations })
        endDryRun(input)
      })
      return { Return: true }
    },

    ModifyInstancePlacement: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, PLACEMENT_KNOWN, PLACEMENT_HARMLESS)
      const { Tenancy: tenancy } = input
      // EC2 refuses it too: only `dedicated` and `host` become each other.
      if (tenancy !== undefined) throw unsupported(`Changing the tenancy to ${tenancy}`)
      if (input.Affinity === undefined) {
        throw new ApiError('MissingParameter', 'The request changes nothing of the placement')
      }
      await state.update(async (tx) => {
        mustBeStopped(await alive(tx, id, caller.account))
      })
      return { Return: true }
    },

    ModifyPrivateDnsNameOptions: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      refuseUnknown(input, NAMES_KNOWN, NAMES_HARMLESS)
      const asked = parseHostnameType(input.PrivateDnsHostnameType)
      const hostnameType = required('PrivateDnsHostnameType', asked)
      await state.update(async (tx) => {
        const record = await alive(tx, id, caller.account)
        mustBeStopped(record)
        await rename(tx, record, hostnameType)
        await set(tx, record, { hostnameType })
        endDryRun(input)
      })
      return { Return: true }
    },

    MonitorInstances: async ({ caller }, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      return {
        InstanceMonitorings: await monitor(state, ids, caller.account, true, () =>
          endDryRun(input),
        ),
      }
    },

    UnmonitorInstances: async ({ caller }, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      return {
        InstanceMonitorings: await monitor(state, ids, caller.account, false, () =>
          endDryRun(input),
        ),
      }
    },
  }
}

async function set(
  tx: Transaction,
  record: InstanceRecord,
  change: Partial<InstanceSettings>,
): Promise<void> {
  const settings = { ...record.settings, ...change }
  await tx.put('instance', [record.id], { ...record, settings })
}

/** Names by address, or by the instance's id; the guest learns its own as it starts. */
async function rename(
  tx: Transaction,
  record: InstanceRecord,
  type: InstanceSettings['hostnameType'],
): Promise<void> {
  for (const id of record.interfaces) {
    const one = await tx.get('interface', id)
    if (one === null) continue
    if (type === 'ip-name' && one.ipv4 === '') {
      const text = `The interface '${id}' has no IPv4 address that could name the instance.`
      throw new ApiError('InvalidParameterCombination', text)
    }
    const hostname = type === 'resource-name' ? record.id : hostnameOf(one.ipv4)
    await tx.put('interface', [id], { ...one, hostname })
  }
}

async function monitor(
  state: State,
  ids: readonly string[],
  account: string,
  monitoring: boolean,
  endDry: () => void,
): Promise<{ InstanceId: string; Monitoring: { State: 'enabled' | 'disabled' } }[]> {
  return await state.update(async (tx) => {
    const records = await namedInStore(tx, 'instance', ids, account)
    const gone = records.find(({ state: now }) => now === 'terminated')
    if (gone !== undefined) {
      const text = `The instance '${gone.id}' is terminated and cannot be monitored.`
      throw new ApiError('IncorrectInstanceState', text)
    }
    endDry()
    for (const record of records) {
      if (settingsOf(record).monitoring !== monitoring) await set(tx, record, { monitoring })
    }
    const State = monitoring ? 'enabled' : 'disabled'
    return records.map(({ id }) => ({ InstanceId: id, Monitoring: { State } }))
  })
}
