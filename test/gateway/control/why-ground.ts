// An instance that may talk to everybody by TCP at port 80, and what `why` says of packets to and
// from it.

import { why } from '../../../gateway/control/why.ts'
import {
  acl,
  group,
  instance,
  networkInterface,
  rule,
  startView,
  subnet,
  type Write,
} from './records.ts'

const ANY = { protocol: 'tcp', fromPort: 80, toPort: 80, ipv4: '0.0.0.0/0' }

/** i-2 in subnet-2, in rack b. */
export const GUEST: readonly Write[] = [
  [
    'interface/eni-2',
    {
      ...networkInterface('eni-2', subnet('subnet-2', 'b', 1), 'b1', 4),
      ...{ instance: 'i-2', securityGroups: ['sg-1'] },
    },
  ],
  ['instance/i-2', { ...instance('i-2', 'b', 'b1'), state: 'running' }],
  group('sg-1', 'vpc-1', [rule('sgr-out', { ...ANY, egress: true }), rule('sgr-in', ANY)]),
  acl('acl-vpc-1', [{ number: 100 }, { number: 100, egress: true }]),
]

/** `last`: where and why the last step is. */
export function askWhy(
  world: readonly Write[],
  from: string,
  to: string,
): { readonly passes: boolean; readonly last: string; readonly texts: readonly string[] } {
  const question = { from, to, protocol: 'tcp', port: 80, account: null } as const
  const { passes, steps } = why(startView(...world), question)
  const last = steps.at(-1)
  return { passes, last: `${last?.at} ${last?.code}`, texts: steps.map(({ text }) => text) }
}
