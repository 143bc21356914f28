// What holds for all actions that are done, found by the model: tags as filters where the things
// have tags, tokens of pages, and client tokens where clients fill them in by themselves.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Ec2Handlers, Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { loadModel, type Member, type Ref } from '../../../gateway/aws/model.ts'
import { type Ec2Parts, ec2Handlers } from '../../../gateway/ec2/index.ts'
import { type Cloud, openCloud, refusal } from './support.ts'

const MODEL = loadModel('ec2')
const DONE = Object.keys(ec2Handlers({} as Ec2Parts)) as (keyof Ec2Inputs & keyof Ec2Handlers)[]
const SOURCES = ['ec2', 'ebs'].map((dir) => join(import.meta.dirname, '../../../gateway', dir))

/** What an action wants to be asked although the model does not say so. */
const ASKED: Readonly<Record<string, object>> = {
  DescribeLaunchTemplateVersions: { Versions: ['$Latest'] },
}

const describing = DONE.filter(
  (action) =>
    /^(?:Describe|Get)/.test(action) && !members(MODEL.ops[action]?.i).some(({ req }) => req === 1),
)
const tagged = describing.filter((action) => {
  const asked = members(MODEL.ops[action]?.i)
  return asked.some(({ n }) => n === 'Filters') && members(MODEL.ops[action]?.o).some(hasTags)
})
const paged = describing.filter((action) => {
  const asked = members(MODEL.ops[action]?.i)
  return asked.some(({ n }) => n === 'NextToken')
})

test('there are such actions', () => {
  assert.ok(tagged.length > 40, `${tagged.length}`)
  assert.ok(paged.length > 40, `${paged.length}`)
})

test('whatever has tags is found by tag:KEY, by wildcards and by tag-key', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const wrong: string[] = []
  for (const action of tagged) {
    for (const Name of ['tag:none', 'tag-key']) {
      const code = await asked(cloud, action, { Filters: [{ Name, Values: ['no*ne'] }] })
      if (code !== 'accepted') wrong.push(`${action} ${Name}: ${code}`)
    }
    const code = await asked(cloud, action, { Filters: [{ Name: 'nonsense', Values: ['x'] }] })
    if (code !== 'InvalidParameterValue') wrong.push(`${action} nonsense: ${code}`)
  }
  assert.deepEqual(wrong, [])
})

test('a NextToken that nobody gave is refused', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const wrong: string[] = []
  for (const action of paged) {
    const code = await asked(cloud, action, { NextToken: 'bm9ib2R5IGdhdmUgaXQ' })
    if (code !== 'InvalidParameterValue') wrong.push(`${action}: ${code}`)
  }
  assert.deepEqual(wrong, [])
})

test('every input that clients give a token by themselves keeps the answer under it', () => {
  const files = SOURCES.flatMap((dir) =>
    readdirSync(dir, { withFileTypes: true })
      .filter((one) => one.isFile())
      .map(({ name }) => join(dir, name)),
  )
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n')
  const tokens = DONE.filter((action) => members(MODEL.ops[action]?.i).some(({ tok }) => tok === 1))
  assert.ok(tokens.length > 8, `${tokens.length}`)
  assert.deepEqual(
    tokens.filter((action) => !text.includes(`action: '${action}'`)),
    [],
  )
})

async function asked(cloud: Cloud, action: (typeof DONE)[number], input: object): Promise<string> {
  const whole = { ...ASKED[action], ...input } as never
  return await refusal(cloud.call(action, whole) as Promise<unknown>)
}

function members(ref: Ref | null | undefined): readonly Member[] {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2] : []
}

/** Is it a list of things that have tags? */
function hasTags({ r }: Member): boolean {
  const shape = typeof r === 'number' ? MODEL.shapes[r] : undefined
  return shape?.[0] === 'l' && members(shape[2]).some(({ n }) => n === 'Tags' || n === 'TagSet')
}
