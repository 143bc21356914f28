// What a user does first, with the real aws CLI: an instance in each rack, then a ping across over
// both protocols from inside one of them.

import { MalleeError } from '../common/errors.ts'
import type { Aws } from './aws.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

const INSTANCE_TYPE = 't3.nano'
const BOOT_MS = 180_000
const PING_MS = 30_000

export interface TourInstance {
  readonly id: string
  readonly rack: string
  readonly ipv4: string
  readonly ipv6: string
}

interface Described {
  readonly InstanceId: string
  readonly State: { readonly Name: string }
  readonly Placement: { readonly AvailabilityZone: string }
  readonly PrivateIpAddress?: string
  readonly NetworkInterfaces?: readonly {
    readonly Ipv6Addresses?: readonly { readonly Ipv6Address: string }[]
  }[]
}

/** A cloud, whoever has it. */
interface RunPlace {
  readonly plan: Pick<World['plan'], 'region' | 'racks'>
}

type Say = (line: string) => void

/** An instance in each rack, up to its console's last line. */
export async function launchEverywhere(
  world: Pick<World, 'aws' | 'imageId' | 'consoleLog'> & RunPlace,
  say: Say,
  signal: AbortSignal,
): Promise<TourInstance[]> {
  const ids: string[] = []
  for (const rack of world.plan.racks) {
    const id = await runInstance(world, rack.name)
    say(`rack ${rack.name}: aws ec2 run-instances answered ${id}`)
    ids.push(id)
  }
  for (const id of ids) {
    const ready = async (): Promise<boolean> => {
      const text = await world.consoleLog(id).catch(() => '')
      return text.includes('MALLEE-GUEST ready')
    }
    const options = { timeoutMs: BOOT_MS, everyMs: 200, signal }
    await until(`the console of ${id} says MALLEE-GUEST ready`, ready, options)
    say(`${id} says on its console: MALLEE-GUEST ready`)
  }
  return (await describeInstances(world.aws)).filter(({ id }) => ids.includes(id))
}

async function runInstance(
  { aws, imageId, plan }: Pick<World, 'aws' | 'imageId'> & RunPlace,
  rack: string,
): Promise<string> {
  const zone = `AvailabilityZone=${plan.region}-${rack}`
  const what = ['--image-id', imageId, '--instance-type', INSTANCE_TYPE, '--placement', zone]
  const answer = await aws(['ec2', 'run-instances', ...what])
  const [instance] = (answer as { Instances: Described[] }).Instances
  if (instance === undefined) throw new MalleeError('NotFound', 'run-instances named no instance')
  return instance.InstanceId
}

/** All instances that are not terminated, in the order of their racks. */
export async function describeInstances(aws: Aws): Promise<(TourInstance & { state: string })[]> {
  const answer = await aws(['ec2', 'describe-instances'])
  const { Reservations } = answer as { Reservations: { Instances: Described[] }[] }
  return Reservations.flatMap(({ Instances }) => Instances)
    .map((one) => ({
      id: one.InstanceId,
      rack: one.Placement.AvailabilityZone.replace(/^.*-/, ''),
      ipv4: one.PrivateIpAddress ?? '',
      ipv6: one.NetworkInterfaces?.[0]?.Ipv6Addresses?.[0]?.Ipv6Address ?? '',
      state: one.State.Name,
    }))
    .filter(({ state }) => state !== 'terminated')
    .sort((a, b) => (a.rack < b.rack ? -1 : a.rack > b.rack ? 1 : 0))
}

/** Pings `to` over IPv4 and IPv6 from the shell of `from`; throws when either stays unanswered. */
export async function pingAcross(
  world: World,
  from: TourInstance,
  to: TourInstance,
  say: Say,
): Promise<void> {
  const shell = await world.shell(from.id)
  try {
    for (const [command, address] of [
      ['ping', to.ipv4],
      ['ping6', to.ipv6],
    ] as const) {
      let output = ''
      const line = `${command} -c 3 -W 2 ${address}`
      const answered = async (): Promise<boolean> => {
        const answer = await shell.run(line)
        output = answer.output
        return answer.code === 0
      }
      await until(`${from.id} reaches ${address}`, answered, { timeoutMs: PING_MS })
      say(`in ${from.id} (rack ${from.rack}), to ${to.id} (rack ${to.rack}):`)
      for (const part of [`# ${line}`, ...output.trim().split('\n')]) say(`  ${part}`)
    }
  } finally {
    shell.close()
  }
}
