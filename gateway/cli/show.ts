// `mallee THING show NAME`: one thing of the cloud with all that is known of it.

import { buildCommand } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import type { NameParameter } from './names.ts'

const flags = { socket: socketFlag, json: jsonFlag }

/** What one name leads to, at `path` of the operator's API. */
export function showCommand(
  brief: string,
  example: string,
  parameter: NameParameter,
  path: string,
) {
  return buildCommand<LocalFlags, [string]>({
    docs: helped(brief, example),
    parameters: { flags, positional: { kind: 'tuple', parameters: [parameter] } },
    func: (given, name) =>
      answering(given.json, () => show(given, `${path}/${encodeURIComponent(name)}`)),
  })
}

export async function show({ socket, json }: LocalFlags, path: string): Promise<void> {
  const found = await callLocal<object>(socket, { method: 'GET', path })
  print(json, found, linesOf(found).join('\n'))
}

/** A line for each member, those of its structures below it. */
function linesOf(structure: object, indent = ''): string[] {
  const members = Object.entries(structure)
  const width = Math.max(0, ...members.map(([name]) => name.length))
  return members.flatMap(([name, value]) => {
    const lists = [value].flat().filter((one) => typeof one === 'object' && one !== null)
    const below = lists.flatMap((one: object) => linesOf(one, `${indent}  `))
    return [`${indent}${name.padEnd(width)}  ${wordsOf(name, value)}`.trimEnd(), ...below]
  })
}

function wordsOf(name: string, value: unknown): string {
  if (value === null) return '-'
  if (typeof value === 'number' && name.endsWith('Ms')) return new Date(value).toISOString()
  if (Array.isArray(value)) return value.filter((one) => typeof one !== 'object').join(', ')
  return typeof value === 'object' ? '' : String(value)
}
