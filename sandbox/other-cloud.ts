// A cloud of another owner in a world: its own gateway, CA, store and racks, made with the same
// commands. It has nothing in common with the first one but the internet between them.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../common/log.ts'
import { API_PORT } from '../common/ports.ts'
import { type Aws, type AwsTarget, awsCli } from './aws.ts'
import { forward } from './forward.ts'
import { SandboxGateway } from './gateway.ts'
import { GuestShell } from './guest.ts'
import type { SandboxHost } from './host.ts'
import { uplinkOf } from './net.ts'
import { gatewayOf, type OtherPlan } from './plan.ts'
import { joinRack } from './racks.ts'
import { wireOther } from './wiring.ts'
import { connected, hostOf, hostWith, registerImage, type World } from './world.ts'

export interface OtherCloud {
  readonly plan: OtherPlan
  /** Throws HostNotFound. */
  readonly host: (name: string) => SandboxHost
  readonly gateway: SandboxGateway
  readonly target: AwsTarget
  readonly aws: Aws
  /** Registers the guest image there: its id, ready for RunInstances. */
  readonly registerImage: () => Promise<string>
  /** What an instance's console said so far. */
  readonly consoleLog: (instanceId: string) => Promise<string>
  /** The shell at an instance's console; close it after use. */
  readonly shell: (instanceId: string) => Promise<GuestShell>
  /** Before the world's own stop, which takes away what is left. */
  readonly stop: () => Promise<void>
}

/** Resolves when its racks are connected. Needs a world whose sites are not those of the plan. */
export async function startOtherCloud(
  world: World,
  plan: OtherPlan,
  { log, progress }: { readonly log: Log; readonly progress: (line: string) => void },
): Promise<OtherCloud> {
  const { world: name, mtu } = world.plan
  const hosts = await wireOther({ world: name, mtu }, plan, world.host('internet'), log)
  const kill = async (): Promise<void> => {
    await Promise.all([...hosts.values()].map((host) => host.kill()))
  }
  try {
    const at = hostOf(hosts, gatewayOf(plan))
    const gateway = await SandboxGateway.create(at, plan.name, plan.region)
    const api = await forward(gateway.host, { port: plan.apiPort, insidePort: API_PORT })
    const parts = { gateway, hosts, progress, uplink: uplinkOf(plan.site), isPrivate: true }
    await Promise.all(plan.racks.map((rack) => joinRack(parts, plan, rack)))
    await connected(plan, gateway, undefined)
    const endpoint = `http://127.0.0.1:${api.port}`
    const target = { endpoint, region: plan.region, credentials: gateway.credentials }
    const aws = awsCli(target)
    progress(`cloud ${plan.name} answers at ${endpoint}`)
    const dirOf = (id: string): string => join(hostWith(hosts, id).stateDir, 'instances', id)
    return {
      ...{ plan, gateway, target, aws },
      registerImage: () => registerImage(gateway, aws, world.imageFile),
      host: (of) => hostOf(hosts, of),
      consoleLog: (id) => readFile(join(dirOf(id), 'console.log'), 'utf8'),
      shell: (id) => GuestShell.open(join(dirOf(id), 'console.sock')),
      stop: async () => {
        await api.stop()
        await kill()
      },
    }
  } catch (error) {
    await kill()
    throw error
  }
}
