// What can be said of an instance at its launch and later, and what holds when nothing is said.

import type { Ec2Inputs } from '../aws/handlers.ts'
import type { InstanceRecord, InstanceSettings } from '../store/records.ts'
import { badValue } from './input.ts'

/** As AWS does (EC2 API reference, RunInstances). */
const DEFAULTS: InstanceSettings = {
  shutdownBehavior: 'stop',
}

export function settingsOf({ settings }: InstanceRecord): InstanceSettings {
  return { ...DEFAULTS, ...settings }
}

/** What a launch says of it. Throws InvalidParameterValue. */
export function parseSettings({
  InstanceInitiatedShutdownBehavior: behavior,
}: Ec2Inputs['RunInstances']): Partial<InstanceSettings> {
  if (behavior === undefined) return {}
  return { shutdownBehavior: parseShutdownBehavior(behavior) }
}

/** Throws InvalidParameterValue. */
export function parseShutdownBehavior(value: string): InstanceSettings['shutdownBehavior'] {
  if (value === 'stop' || value === 'terminate') return value
  throw badValue('instanceInitiatedShutdownBehavior', value, 'Expecting stop or terminate.')
}
