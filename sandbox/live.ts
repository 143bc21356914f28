// The live status of a world: redrawn in place on a terminal, a line for each change elsewhere.

import { messageOf } from '../common/errors.ts'
import type { CloudStatus } from './gateway.ts'
import type { TourInstance } from './tour.ts'

// A tunnel that carries traffic shakes hands every two minutes and dies after three (WireGuard
// paper, 6.1: Rekey-After-Time and Reject-After-Time).
const TUNNEL_DEAD_MS = 180_000

export interface LiveParts {
  readonly status: () => Promise<CloudStatus>
  readonly instances: () => Promise<readonly (TourInstance & { state: string })[]>
  readonly nowMs: () => number
}

/** What is so, one sentence a line, without anything that changes by itself. */
export async function facts({ status, instances, nowMs }: LiveParts): Promise<string[]> {
  try {
    const { racks, tunnels } = await status()
    const hosts = racks.flatMap((rack) =>
      rack.hosts.map((host) => {
        const session = host.connected ? 'connected' : 'away'
        const trouble = host.trouble ? `; ${host.trouble}` : ''
        const what = `${host.roles.join(',')}, ${session}, ${count(host.instances, 'instance')}`
        return `host      ${host.host} of rack ${rack.name}: ${what}${trouble}`
      }),
    )
    const links = tunnels.map((one) => {
      const up = nowMs() - one.latestHandshakeMs < TUNNEL_DEAD_MS
      return `tunnel    ${one.fromRack} to ${one.toRack}: ${up ? 'up' : 'silent'}`
    })
    const guests = (await instances()).map(
      (one) => `instance  ${one.id} in rack ${one.rack}: ${one.state}, ${one.ipv4}, ${one.ipv6}`,
    )
    return [...hosts, ...links.sort(), ...guests]
  } catch (error) {
    return [`gateway   does not answer: ${messageOf(error)}`]
  }
}

export interface Screen {
  readonly isTTY?: boolean
  readonly write: (text: string) => unknown
}

/** Shows one state after the other. */
export class LiveView {
  readonly #screen: Screen
  #shown: readonly string[] = []

  constructor(screen: Screen) {
    this.#screen = screen
  }

  show(lines: readonly string[]): void {
    if (lines.join('\n') === this.#shown.join('\n')) return
    if (this.#screen.isTTY === true) {
      // Up to the first line, then everything below is cleared (ECMA-48: CPL and ED).
      const up = this.#shown.length > 0 ? `\x1b[${this.#shown.length}F\x1b[J` : ''
      this.#screen.write(`${up}${lines.join('\n')}\n`)
    } else {
      const gone = this.#shown.filter((line) => !replaced(line, lines))
      for (const line of lines.filter((one) => !this.#shown.includes(one))) {
        this.#screen.write(`${line}\n`)
      }
      for (const line of gone) this.#screen.write(`gone:     ${line}\n`)
    }
    this.#shown = lines
  }
}

/** Is the thing of this line, named before its colon, still there? */
function replaced(line: string, lines: readonly string[]): boolean {
  const [thing = ''] = line.split(':')
  return lines.some((one) => one.startsWith(`${thing}:`))
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
