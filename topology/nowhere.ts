// Addresses where nobody's device can be reached, but something on a host of ours may listen.

import { type Address, type Cidr, contains, mustCidr } from './cidr.ts'

/** RFC 6890: this network, loopback, link-local, multicast, reserved. */
export const NOWHERE: readonly Cidr[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'],
  ...['::/127', '::ffff:0:0/96', 'fe80::/10', 'ff00::/8'],
].map(mustCidr)

export function isNowhere(address: Address): boolean {
  return NOWHERE.some((one) => contains(one, address))
}
