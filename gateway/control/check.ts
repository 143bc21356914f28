// Lints a desired state before it leaves: what must never be true of two things in one rack.

import { bodies, type Desired } from '../../proto/resources.ts'

/** Sentences, empty when all is well: a tag, a MAC, an address or an allowed prefix twice. */
export function checkDesired(desired: Desired): string[] {
  const networks = bodies(desired, 'network')
  const interfaces = bodies(desired, 'interface')
  const ids = new Set(networks.map((network) => network.id))
  return [
    ...twice('VLAN tag', networks, (one) => [[String(one.vlanTag), one.id]]),
    ...twice('VNI', networks, (one) => [[String(one.vni), one.id]]),
    ...twice('MAC', interfaces, (one) => [[one.mac, one.id]]),
    ...twice('address', interfaces, (one) =>
      [one.ipv4, ...one.ipv4More, one.ipv6, ...one.ipv6More]
        .filter((address) => address !== '')
        .map((address) => [address, one.id]),
    ),
    ...twice('public address', [...bodies(desired, 'elastic'), ...bodies(desired, 'nat')], (one) =>
      one.publicIp === '' ? [] : [[one.publicIp, one.id]],
    ),
    ...twice('elastic private address', bodies(desired, 'elastic'), (one) => [
      [one.privateIp, one.id],
    ]),
    ...twice('allowed IP', bodies(desired, 'tunnel'), (one) =>
      one.allowedIps.map((ip) => [ip, `${one.rack}/${one.host}`]),
    ),
    ...interfaces
      .filter((one) => !ids.has(one.networkId))
      .map((one) => `${one.id} is in ${one.networkId}, which this rack does not have`),
  ]
}

function twice<T>(
  what: string,
  things: readonly T[],
  pairsOf: (thing: T) => readonly (readonly [string, string])[],
): string[] {
  const holders = new Map<string, string>()
  const problems: string[] = []
  for (const [value, holder] of things.flatMap(pairsOf)) {
    const other = holders.get(value)
    if (other !== undefined) problems.push(`${what} ${value} is held by ${other} and ${holder}`)
    holders.set(value, holder)
  }
  return problems
}
