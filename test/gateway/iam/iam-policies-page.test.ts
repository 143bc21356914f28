// docs/iam-policies.md says of every action of EC2 that is answered what policies are asked for.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Ec2Parts, ec2Handlers } from '../../../gateway/ec2/index.ts'
import { resourceUses } from '../../../gateway/iam/ec2-resource-types.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/iam-policies.md'), 'utf8')

function codes(text: string): string[] {
  return [...text.matchAll(/`([\w-]+)`/g)].map(([, code = '']) => code)
}

/** Action → its resources as the page writes them. */
function documented(): Map<string, string> {
  const [, table = ''] = /\| resources \| actions \|\n.*\n((?:\|.*\n)+)/.exec(PAGE) ?? []
  const [, none = ''] = /^`\*`, no resource: ([\s\S]*?)\n\n/m.exec(PAGE) ?? []
  const found = new Map(codes(none).map((action) => [action, '']))
  for (const row of table.trim().split('\n')) {
    const [, resources = '', actions = ''] = row.split(' | ').join('|').split('|')
    for (const action of codes(actions)) found.set(action, resources.trim())
  }
  return found
}

test('docs/iam-policies.md has the resources of every action that EC2 answers', () => {
  const page = documented()
  const handlers = ec2Handlers({} as Ec2Parts)
  const wrong: string[] = []
  for (const action of new Set([...Object.keys(handlers), ...page.keys()])) {
    const uses = resourceUses(action)
    if (uses === 'own' || action === 'Describe') continue
    const want = (uses ?? [{ type: 'nobody knows', required: true }])
      .map(({ type, required }) => `\`${type}\`${required ? '' : '?'}`)
      .join(', ')
    const said = page.get(action) ?? (action.startsWith('Describe') ? '' : 'nothing')
    if (said !== want) wrong.push(`${action}: ${said} instead of ${want}`)
  }
  assert.deepEqual(wrong, [])
})
