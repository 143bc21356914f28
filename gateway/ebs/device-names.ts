// Names of devices as users give them: /dev/sdf. What a guest calls them is the guest's own; here
// they tell an instance's volumes apart.

import { ApiError } from '../aws/api-error.ts'

/** EC2 user guide, "Device names for volumes on Amazon EC2 instances"; `vd` are roots here. */
const DEVICE = /^(?:\/dev\/)?(?:(?:sd|xvd|vd|hd)[a-z](?:[1-9]|1[0-5])?|xvd[a-d][a-z])$/
/** What an error repeats of a name. */
const MAX_SHOWN = 64

export function isDeviceName(device: string): boolean {
  return DEVICE.test(device)
}

/** Throws InvalidParameterValue for what is no name of a device. */
export function checkDeviceName(device: string): void {
  if (isDeviceName(device)) return
  const shown = device.slice(0, MAX_SHOWN)
  const text = `Value (${shown}) for parameter device is invalid. ${shown} is not a valid EBS device name.`
  throw new ApiError('InvalidParameterValue', text)
}

/** Two spellings of one device have one: `/dev/sdf`, `sdf`, `xvdf`. */
export function deviceKey(device: string): string {
  return device.replace(/^\/dev\//, '').replace(/^(?:xvd|sd|vd|hd)/, '')
}
