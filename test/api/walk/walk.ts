// One client's way through all steps: what it saw that was not as it should be.

import { until } from '../../../sandbox/until.ts'
import type { Keys, Said, WalkClient } from './clients.ts'
import { at, check, filled, type Names, type Step } from './row.ts'

/** Long, for a machine that does other things too. */
const UNTIL_MS = 60_000

export interface Walked {
  /** One line for each step that went wrong. */
  readonly wrong: readonly string[]
  /** Steps whose action the client does not know. */
  readonly unknown: readonly string[]
  /** Actions of which all pages were read. */
  readonly paged: ReadonlySet<string>
}

/** Goes through the steps in order. One fails that needs what a failed one would have said. */
export async function walk(
  client: WalkClient,
  steps: readonly Step[],
  { keys, names }: { keys: Keys; names: Names },
): Promise<Walked> {
  const wrong: string[] = []
  const unknown: string[] = []
  const paged = new Set<string>()
  for (const step of steps) {
    const title = `${step.service} ${step.action}${step.more.wait ? ` ${step.more.wait}` : ''}`
    try {
      const whole = filled(step, names)
      const asked = { ...whole, keys: whole.more.as ?? keys }
      const pages = hasPages(whole)
      const isPlain = whole.more.argv === undefined
      const ask = async (kind: 'call' | 'pages' | 'wait'): Promise<boolean> => {
        const said = await client.ask({ ...asked, kind })
        if ('unknown' in said) return false
        take(said, whole, names)
        return true
      }
      if (step.more.wait !== undefined) await ask('wait')
      else if (isPlain && pages && client.pagesAlways && (await ask('pages')))
        paged.add(step.action)
      else if (!(await untilTrue(step, () => ask('call')))) unknown.push(step.action)
      else if (pages && !client.pagesAlways && (await ask('pages'))) paged.add(step.action)
    } catch (error) {
      wrong.push(`${title}: ${(error as Error).message}`)
    }
  }
  return { wrong, unknown, paged }
}

/** May its answer come in pages? Not when it names what it wants to see. */
export function hasPages({ service, action, input, more }: Step): boolean {
  const reads = /^(?:Describe|List|Get|Simulate)/.test(action)
  const named = Object.keys(input).some((name) => /(?:Ids|Names|Types|Max[A-Z]\w+)$/.test(name))
  const isSome = service !== 'iam' && named
  return reads && !isSome && more.until === undefined && more.refused === undefined
}

function take(said: Said, { more }: Step, names: Names): void {
  if ('unknown' in said) return
  if ('code' in said) {
    if (said.code !== more.refused) throw new Error(`${said.code}: ${said.message}`)
    for (const [name, pattern] of Object.entries(more.keep ?? {})) {
      names.set(name, new RegExp(pattern).exec(said.message)?.[1] ?? '')
    }
    return
  }
  if (more.refused !== undefined) throw new Error(`accepted, not ${more.refused}`)
  check(said.answer, more.want ?? {})
  for (const [name, wish] of Object.entries(more.keep ?? {})) {
    const [path = '', pattern = '(.*)'] = wish.split(' ~')
    const [first] = at(said.answer, path)
    const part = new RegExp(pattern, 's').exec(String(first))?.[1]
    if (first === undefined || part === undefined) throw new Error(`nothing is at ${path}`)
    names.set(name, part)
  }
}

async function untilTrue(step: Step, ask: () => Promise<boolean>): Promise<boolean> {
  if (step.more.until !== true) return await ask()
  let known = false
  let last: unknown = null
  const again = async (): Promise<boolean> => {
    try {
      known = await ask()
      return true
    } catch (error) {
      last = error
      return false
    }
  }
  await until(`${step.action} is as wanted`, again, { timeoutMs: UNTIL_MS }).catch(() => {
    throw last
  })
  return known
}
