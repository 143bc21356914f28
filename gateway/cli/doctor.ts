// `mallee doctor`: what this machine has for the roles of a host, and what its stand-ins cost.

import { buildCommand } from '@stricli/core'
import { probeAccelerator } from '../../common/accelerator.ts'
import { answering, print } from '../../common/cli.ts'
import { exec } from '../../common/exec.ts'
import { probeMachine } from '../../common/machine.ts'
import { helped, jsonFlag } from './flags.ts'

export const doctorCommand = buildCommand<{ json: boolean }>({
  docs: helped(
    'What this machine has: WireGuard, Open vSwitch, KVM, and what stand-ins cost',
    'mallee doctor --json',
  ),
  parameters: { flags: { json: jsonFlag } },
  func: ({ json }) =>
    answering(json, async () => {
      const [machine, accelerator] = await Promise.all([probeMachine(exec), probeAccelerator(exec)])
      const text = [
        `WireGuard     ${machine.wireguard}`,
        `Open vSwitch  ${machine.ovs}`,
        `Accelerator   ${accelerator.kind}`,
        '',
        ...machine.details.notes,
        accelerator.sentence,
      ].join('\n')
      print(json, { ...machine, accelerator }, text)
    }),
})
