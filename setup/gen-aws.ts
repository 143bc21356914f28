// Generates gateway/aws/model/*.json from the official SDK's schemas (Apache-2.0, see NOTICE):
// `node setup/gen-aws.ts [DIRECTORY]`. The same packages give the same bytes.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Member, Model, Ref, Scalar, Shape } from '../gateway/aws/model.ts'
import { bindingsOf, httpOf, type RestTraits } from './aws-bindings.ts'
import { ELSEWHERE, FRACTIONAL, OPEN_ENUMS, SERVICES } from './aws-services.ts'

const require = createRequire(import.meta.url)

// Numbers of @smithy/types schema/sentinels.ts; 64 and 128 are added for a list and a map of them.
const SCALARS: Readonly<Record<number, Scalar>> = {
  0: 's',
  1: 'n',
  2: 'b',
  4: 't',
  5: 't',
  6: 't',
  21: 'x',
  42: 'x',
}
/** What the numbers of times and blobs say beside that. */
const SCALAR_TRAITS: Readonly<Record<number, Traits>> = {
  5: { timestamp: 'i' },
  6: { timestamp: 'h' },
  42: { streaming: 1 },
}
const LIST_OF = 64
const MAP_OF = 128

// Traits without a value are bits of a number, in this order.
const BIT_TRAITS = ['httpLabel', 'idempotent', 'idempotencyToken', 'sensitive', 'httpPayload']

interface Traits extends RestTraits {
  readonly xmlName?: string
  readonly ec2QueryName?: string
  readonly xmlFlattened?: number
  readonly idempotencyToken?: number
}

type Exports = Readonly<Record<string, unknown>>
interface Found {
  readonly ref: Ref
  readonly traits: Traits
}

const target = process.argv[2] ?? fileURLToPath(new URL('../gateway/aws/model', import.meta.url))
for (const service of SERVICES) {
  const text = format(generate(service))
  writeFileSync(join(target, `${service.name}.json`), text)
}

function generate(service: (typeof SERVICES)[number]): Model {
  const packageName = `@aws-sdk/client-${service.client}`
  const exports: Exports = require(packageName)
  const packageFile = require.resolve(`${packageName}/package.json`)
  const { version, license } = JSON.parse(readFileSync(packageFile, 'utf8'))
  const enums = enumsOf(exports)
  const isRest = service.protocol === 'rest' || service.protocol === 'rest-json'
  const visitor = createVisitor(memberEnums(dirname(packageFile), enums), isRest)
  const ops: Record<string, Model['ops'][string]> = {}
  for (const name of Object.keys(exports).sort(byCodeUnits)) {
    const schema = exports[name]
    if (!name.endsWith('$') || !Array.isArray(schema) || schema[0] !== 9) continue
    if (isRest && ELSEWHERE.has(name.slice(0, -1))) continue
    const output = deref(schema[5])
    ops[name.slice(0, -1)] = {
      i: visitor.visit(schema[4]).ref,
      o: output === 'unit' ? null : visitor.visit(output).ref,
      ...(isRest && { http: httpOf(schema[3]) }),
    }
  }
  const used = [...visitor.usedEnums].sort(byCodeUnits)
  return {
    from: `${packageName}@${version} (${license})`,
    protocol: service.protocol,
    version: service.version,
    xmlns: service.xmlns,
    ops,
    shapes: visitor.shapes,
    enums: Object.fromEntries(used.map((name) => [name, enums.get(name) ?? []])),
  }
}

/** Enums are exported as plain objects of strings. */
function enumsOf(exports: Exports): Map<string, readonly string[]> {
  const enums = new Map<string, readonly string[]>()
  for (const [name, value] of Object.entries(exports)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    const values: unknown[] = Object.values(value)
    if (values.every((item) => typeof item === 'string')) enums.set(name, values)
  }
  return enums
}

/** `Interface.Member` → its enum: the schemas say only "string", the declarations know more. */
function memberEnums(
  root: string,
  enums: ReadonlyMap<string, readonly string[]>,
): Map<string, string> {
  const found = new Map<string, string>()
  const directory = join(root, 'dist-types', 'models')
  for (const file of readdirSync(directory).sort(byCodeUnits)) {
    if (!file.startsWith('models_')) continue
    let owner = ''
    for (const line of readFileSync(join(directory, file), 'utf8').split('\n')) {
      owner = /^export (?:declare )?interface (\w+)/.exec(line)?.[1] ?? owner
      const [, member, type] = /^ {4}(\w+)\??: _?(\w+)(?:\[\])? \| undefined;/.exec(line) ?? []
      const name = [type ?? '', `_${type}`].find((each) => enums.has(each))
      if (name !== undefined && !OPEN_ENUMS.has(name)) found.set(`${owner}.${member}`, name)
    }
  }
  return found
}

function createVisitor(
  enumOf: ReadonlyMap<string, string>,
  isRest: boolean,
): {
  readonly visit: (schema: unknown) => Found
  readonly shapes: readonly Shape[]
  readonly usedEnums: ReadonlySet<string>
} {
  const shapes: Shape[] = []
  const numbers = new Map<unknown, number>()
  const usedEnums = new Set<string>()

  // The number is given before the shape is made: shapes may contain themselves.
  function shape(key: unknown, make: () => Shape): number {
    const known = numbers.get(key)
    if (known !== undefined) return known
    const number = shapes.push(['o', '', []]) - 1
    numbers.set(key, number)
    shapes[number] = make()
    return number
  }

  function visit(reference: unknown): Found {
    const schema = deref(reference)
    if (typeof schema === 'number') {
      return { ref: visitNumber(schema), traits: SCALAR_TRAITS[schema] ?? {} }
    }
    // An operation that takes nothing: an empty structure, which refuses what is sent all the same.
    if (schema === 'unit') return { ref: shape(schema, () => ['o', 'Unit', []]), traits: {} }
    if (!Array.isArray(schema)) throw new Error(`no schema: ${JSON.stringify(schema)}`)
    if (schema.length === 2) {
      const inner = visit(schema[0])
      return { ref: inner.ref, traits: { ...inner.traits, ...traitsOf(schema[1]) } }
    }
    const traits = traitsOf(schema[3])
    switch (schema[0]) {
      case 0: {
        const inner = visit(schema[4])
        return { ref: inner.ref, traits: { ...inner.traits, ...traits } }
      }
      case 1:
        return { ref: shape(schema, () => listShape(schema)), traits }
      case 2:
        return { ref: shape(schema, () => mapShape(schema)), traits }
      case 3:
      case 4:
        return { ref: shape(schema, () => structure(schema, traits)), traits }
      default:
        throw new Error(`unknown kind of schema: ${schema[0]}`)
    }
  }

  function visitNumber(code: number): Ref {
    if (code & LIST_OF) return shape(code, () => ['l', 'member', scalar(code - LIST_OF), 0])
    if (code & MAP_OF) return shape(code, () => ['m', 'key', 'value', scalar(code - MAP_OF)])
    return scalar(code)
  }

  function listShape(schema: readonly unknown[]): Shape {
    const { ref, traits } = visit(schema[4])
    return ['l', traits.xmlName ?? 'member', ref, traits.xmlFlattened ? 1 : 0]
  }

  function mapShape(schema: readonly unknown[]): Shape {
    const value = visit(schema[5])
    const keyTag = visit(schema[4]).traits.xmlName ?? 'key'
    return ['m', keyTag, value.traits.xmlName ?? 'value', value.ref]
  }

  function structure(schema: readonly unknown[], traits: Traits): Shape {
    const [, , name, , members, types, required = 0] = schema as readonly [
      ...[kind: number, namespace: string, name: string, traits: unknown],
      ...[members: readonly string[], types: readonly unknown[], required?: number],
    ]
    const made = members.map((member, index) => {
      const type = visit(types[index])
      return describe(`${name}.${member}`, member, type, index < required)
    })
    return ['o', traits.xmlName ?? name, made]
  }

  function describe(path: string, name: string, found: Found, required: boolean): Member {
    const { ref, traits } = found
    const enumName = enumOf.get(path)
    if (enumName !== undefined) usedEnums.add(enumName)
    return {
      n: name,
      r: ref === 'n' && FRACTIONAL.has(path) ? 'd' : ref,
      ...(traits.xmlName !== undefined && { x: traits.xmlName }),
      ...(traits.ec2QueryName !== undefined && { q: traits.ec2QueryName }),
      ...(required && { req: 1 }),
      ...(traits.xmlFlattened && { f: 1 }),
      ...(traits.idempotencyToken && { tok: 1 }),
      ...(enumName !== undefined && { e: enumName }),
      ...(isRest && bindingsOf(traits)),
    }
  }

  return { visit, shapes, usedEnums }
}

/** The same order in every locale. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function deref(schema: unknown): unknown {
  return typeof schema === 'function' ? schema() : schema
}

function scalar(code: number): Scalar {
  const found = SCALARS[code]
  if (found === undefined) throw new Error(`unknown scalar ${code}`)
  return found
}

function traitsOf(traits: unknown): Traits {
  if (typeof traits !== 'number') return traits as Traits
  const set = BIT_TRAITS.filter((_, bit) => (traits >> bit) & 1)
  return Object.fromEntries(set.map((name) => [name, 1]))
}

/** One operation, shape and enum per line, so that the difference of two versions can be read. */
function format(model: Model): string {
  const { ops, shapes, enums, ...head } = model
  const rows = (record: object): string =>
    Object.entries(record)
      .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
      .join(',\n')
  return [
    `{${rows(head)},\n"ops":{\n${rows(ops)}\n},`,
    `"shapes":[\n${shapes.map((each) => JSON.stringify(each)).join(',\n')}\n],`,
    `"enums":{\n${rows(enums)}\n}}\n`,
  ].join('\n')
}
