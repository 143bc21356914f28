// Rules and routes of policy routing (ip-rule(8), ip-route(8)) as the lines that would make them:
// so what is and what shall be can be compared as texts.

import type { Exec } from '../../common/exec.ts'
import { withLength } from './ip.ts'

export interface KernelRoutes {
  /** `main`, `local` or a number. */
  readonly table: string
  /** What follows `route add`, without the protocol. */
  readonly line: string
}

interface RuleRow {
  readonly priority: number
  readonly src: string
  readonly srclen?: number
  readonly dst?: string
  readonly dstlen?: number
  readonly iif?: string
  readonly fwmark?: string
  readonly fwmask?: string
  readonly table?: string
  readonly protocol?: string
}

interface RouteRow {
  readonly type?: string
  readonly dst: string
  readonly gateway?: string
  readonly via?: { readonly family: string; readonly host: string }
  readonly dev?: string
  readonly table?: string
  readonly flags?: readonly string[]
}

const MAX_BYTES = 64 << 20

/** One family's rules of a protocol number, without it. */
export async function listRules(exec: Exec, family: 4 | 6, protocol: number): Promise<string[]> {
  const argv = ['ip', `-${family}`, '-json', 'rule', 'show']
  return parseRules((await exec(argv, { maxBytes: MAX_BYTES })).stdout, family, protocol)
}

export function parseRules(stdout: string, family: 4 | 6, protocol: number): string[] {
  return rows<RuleRow>(stdout)
    .filter((row) => row.protocol === String(protocol))
    .map(({ priority, src, srclen, dst, dstlen, iif, fwmark, fwmask, table }) =>
      [
        `pref ${priority}`,
        src === 'all' ? '' : `from ${src}/${srclen ?? whole(family)}`,
        dst === undefined ? '' : `to ${dst}/${dstlen ?? whole(family)}`,
        iif === undefined ? '' : `iif ${iif}`,
        fwmark === undefined ? '' : `fwmark ${fwmark}${fwmask === undefined ? '' : `/${fwmask}`}`,
        `lookup ${table ?? ''}`,
      ]
        .filter((word) => word !== '')
        .join(' '),
    )
}

/** One family's routes of a protocol number in all tables. */
export async function listTables(
  exec: Exec,
  family: 4 | 6,
  protocol: number,
): Promise<KernelRoutes[]> {
  const show = ['route', 'show', 'table', 'all', 'proto', String(protocol)]
  const { stdout } = await exec(['ip', `-${family}`, '-json', ...show], { maxBytes: MAX_BYTES })
  return parseTables(stdout)
}

export function parseTables(stdout: string): KernelRoutes[] {
  return rows<RouteRow>(stdout).map(({ type, dst, gateway, via, dev, table = 'main', flags }) => {
    // The kernel hangs what leads nowhere on the loopback device; nobody asked for it.
    const onDevice = type === undefined || type === 'unicast' || type === 'local'
    const hop = gateway ?? (via === undefined ? undefined : `${via.family} ${via.host}`)
    const line = [
      type === undefined || type === 'unicast' ? '' : type,
      dst === 'default' ? dst : withLength(dst),
      hop === undefined ? '' : `via ${hop}`,
      onDevice && dev !== undefined ? `dev ${dev}` : '',
      flags?.includes('onlink') ? 'onlink' : '',
      `table ${table}`,
    ]
    return { table, line: line.filter((word) => word !== '').join(' ') }
  })
}

function whole(family: 4 | 6): number {
  return family === 4 ? 32 : 128
}

function rows<T>(stdout: string): T[] {
  if (stdout.trim() === '') return []
  return (JSON.parse(stdout) as T[]).filter((row) => Object.keys(row as object).length > 0)
}
