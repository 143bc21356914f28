// `mallee doctor`: what this machine has for the roles of a host, what its stand-ins cost, and what
// tools say to the region of its cloud.

import { buildCommand } from '@stricli/core'
import { probeAccelerator } from '../../common/accelerator.ts'
import { answering, print } from '../../common/cli.ts'
import { exec } from '../../common/exec.ts'
import { probeMachine } from '../../common/machine.ts'
import { probeVolumeTools, type VolumeTools } from '../../common/volume-tools.ts'
import type { Status } from '../local/status.ts'
import { regionNote } from '../region.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

export const doctorCommand = buildCommand<LocalFlags>({
  docs: helped(
    'What this machine has: WireGuard, IPsec, Open vSwitch, KVM, iSCSI, and what stand-ins cost',
    'mallee doctor --json',
  ),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const probes = [probeMachine(exec), probeAccelerator(exec), probeVolumeTools(exec)] as const
      const [machine, accelerator, volumes] = await Promise.all(probes)
      const region = await regionAt(socket)
      const note = region === null ? null : regionNote(region)
      const text = [
        `WireGuard     ${machine.wireguard}`,
        `Open vSwitch  ${machine.ovs}`,
        `IPsec         ${machine.ipsec}`,
        `Accelerator   ${accelerator.kind}`,
        `Volumes       ${volumesLine(volumes)}`,
        `Thin pools    ${poolsLine(volumes)}`,
        ...(region === null ? [] : [`Region        ${region}`]),
        '',
        ...machine.details.notes,
        ...volumes.notes,
        accelerator.sentence,
        ...(note === null ? [] : [note]),
      ].join('\n')
      print(json, { ...machine, accelerator, volumes, region, regionNote: note }, text)
    }),
})

function volumesLine({ targets: [target], initiator, ceph }: VolumeTools): string {
  const server = target === 'lio' ? "the kernel's LIO" : 'tgtd'
  const roles = [
    target ? `as SC by ${server}` : null,
    ceph ? 'as SC in Ceph' : null,
    initiator ? 'for instances' : null,
  ]
  return roles.filter((role) => role !== null).join(', ') || 'missing'
}

function poolsLine({ thinPools }: VolumeTools): string {
  if (thinPools !== null) return thinPools.join(', ') || 'none'
  return 'missing: lvm2, thin-provisioning-tools or the kernel has no device mapper'
}

/** Of the cloud whose gateway runs here; null when none does. */
async function regionAt(socket: string): Promise<string | null> {
  try {
    const { region } = await callLocal<Status>(socket, { method: 'GET', path: '/v1/status' })
    return region
  } catch {
    return null
  }
}
