// What a machine can check of the house rules. Each rule shows that it finds an offender before it
// is believed that there are none. Types, format and licences: test/static.test.ts.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

interface Source {
  readonly path: string
  readonly text: string
}

interface Rule {
  /** What is true of every file. */
  readonly name: string
  readonly applies: (path: string) => boolean
  /** Each offence in a few words. */
  readonly offences: (source: Source) => readonly string[]
  /** Files that the rule must not let pass. */
  readonly refused: readonly Source[]
}

const ROOT = join(import.meta.dirname, '..')
const MAX_LINES = 300
const MAX_COLUMNS = 100
const NOT_OURS = /^(?:\.git|\.cache|node_modules)$|\.log$/

const LOWER = ['topology', 'common', 'proto']
const ABOVE = [...LOWER, 'gateway', 'cluster-agent']
/** Benchmarks and tests start the same helpers, a Redis for example. */
const EVERYTHING = [...ABOVE, 'setup', 'sandbox', 'bench', 'test']
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  topology: ['topology'],
  common: ['topology', 'common'],
  proto: LOWER,
  gateway: [...LOWER, 'gateway'],
  'cluster-agent': [...LOWER, 'cluster-agent'],
  setup: [...ABOVE, 'setup'],
  sandbox: [...ABOVE, 'setup', 'sandbox'],
  bench: EVERYTHING,
  test: EVERYTHING,
}

/** Folders that every machine has and that a text may well name. */
const EVERYBODYS =
  /^\/(?:(?:data|etc|home|media|mnt|opt|root|run|srv|tmp|usr|var)(?:\/(?:lib|local|src|tmp))?)?$/

const RULES: readonly Rule[] = [
  {
    name: 'imports flow down only: topology, common, proto, then one of the two programs',
    applies: isSource,
    offences: ({ path, text }) => importsOf(text).flatMap((from) => wrongImport(path, from)),
    refused: [
      { path: 'topology/a.ts', text: "import { ok } from '../common/errors.ts'" },
      { path: 'topology/a.ts', text: "import fastify from 'fastify'" },
      { path: 'topology/a.ts', text: "import { isIP } from 'node:net'" },
      { path: 'common/a.ts', text: "export { a } from '../proto/session.ts'" },
      { path: 'proto/a.ts', text: "import '../gateway/main.ts'" },
      { path: 'gateway/http/a.ts', text: "import type { A } from '../../cluster-agent/state.ts'" },
      { path: 'cluster-agent/a.ts', text: "const a = await import('../gateway/main.ts')" },
      { path: 'cluster-agent/a.ts', text: "import { a } from '../test/support/a.ts'" },
      { path: 'gateway/a.ts', text: "import {\n  a,\n} from '../bench/harness.ts'" },
      { path: 'gateway/a.ts', text: "import model from './aws/model/ec2.json'" },
    ],
  },
  {
    name: 'time and chance come from common/clock.ts',
    applies: (path) =>
      /^(?:topology|common|proto|gateway|cluster-agent)\//.test(path) &&
      isSource(path) &&
      path !== 'common/clock.ts',
    offences: ({ text }) => code(text).match(/\bDate\.now\b|\bMath\.random\b|new Date\(\)/g) ?? [],
    refused: [
      { path: 'gateway/a.ts', text: 'const atMs = Date.now()' },
      { path: 'cluster-agent/a.ts', text: '  chance: Math.random,' },
      { path: 'topology/a.ts', text: 'return new Date().getTime()' },
    ],
  },
  {
    name: 'programs log, and print only in their cli folders',
    applies: (path) =>
      /^(?:topology|common|proto|gateway|cluster-agent)\/(?!cli\/)/.test(path) && isSource(path),
    offences: ({ text }) => code(text).match(/\bconsole\.\w+\(/g) ?? [],
    refused: [{ path: 'gateway/a.ts', text: "console.log('here')" }],
  },
  {
    name: `a file has at most ${MAX_LINES} lines`,
    applies: isWritten,
    offences: ({ text }) => {
      const lines = text.trimEnd().split('\n').length
      return lines > MAX_LINES ? [`${lines} lines`] : []
    },
    refused: [{ path: 'gateway/a.ts', text: '// a\n'.repeat(MAX_LINES + 1) }],
  },
  {
    name: `a line has at most ${MAX_COLUMNS} columns, but for a text that would have to be cut`,
    applies: isWritten,
    offences: ({ text }) =>
      text.split('\n').flatMap((line, i) => (isTooLong(line) ? [`line ${i + 1}`] : [])),
    refused: [
      { path: 'gateway/a.ts', text: `// ${'a'.repeat(MAX_COLUMNS)}` },
      { path: 'setup/a.sh', text: `echo ${'a '.repeat(MAX_COLUMNS)} 'a'` },
    ],
  },
  {
    name: 'a file starts by saying what it owns',
    applies: isWritten,
    offences: ({ path, text }) => {
      const first = text.replace(/^#!.*\n/, '')
      const comment = path.endsWith('.sh') ? /^# \S/ : /^\/\/ \S/
      return comment.test(first) ? [] : ['no comment']
    },
    refused: [
      { path: 'gateway/a.ts', text: "import { a } from './b.ts'\n// too late" },
      { path: 'setup/a.sh', text: '#!/bin/sh\nexit 0' },
    ],
  },
  {
    name: 'nothing names the machine it was written on',
    applies: isText,
    offences: ({ path, text }) => [...places(text), ...registries(path, text)],
    refused: [
      { path: 'docs/a.md', text: `see /${'home'}/somebody/notes` },
      { path: 'docs/a.md', text: `see ${ROOT}/docs` },
      { path: '.npmrc', text: 'registry=https://npm.example.com/' },
      { path: 'package-lock.json', text: '"resolved": "https://npm.example.com/a/-/a-1.0.0.tgz"' },
    ],
  },
  {
    name: 'links of documents lead somewhere',
    applies: (path) => path.endsWith('.md'),
    offences: ({ path, text }) => linksOf(text).filter((link) => !leadsSomewhere(path, link)),
    refused: [
      { path: 'docs/a.md', text: 'see [this](nowhere.md)' },
      { path: 'docs/a.md', text: 'see [that](number-plan.md#no-such-heading)' },
      { path: 'README.md', text: '![picture](docs/nowhere.svg)' },
    ],
  },
]

const sources = filesBelow('')

for (const { name, applies, offences, refused } of RULES) {
  test(`tidy: ${name}`, () => {
    for (const one of refused) {
      assert.ok(applies(one.path), `${one.path} is not looked at`)
      assert.notDeepEqual(offences(one), [], `this passes: ${one.text.slice(0, 100)}`)
    }
    const found = sources
      .filter(applies)
      .flatMap((path) => offences(read(path)).map((what) => `${path}: ${what}`))
    assert.deepEqual(found, [])
  })
}

test('tidy: every folder with code has its layer', () => {
  const folders = new Set(sources.filter(isSource).map((path) => path.split('/')[0]))
  assert.deepEqual([...folders].sort(), Object.keys(MAY_IMPORT).sort())
})

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((one) => {
    if (NOT_OURS.test(one.name)) return []
    const path = join(folder, one.name)
    return one.isDirectory() ? filesBelow(path) : [path]
  })
}

function read(path: string): Source {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

function isGenerated(path: string): boolean {
  return path.startsWith('proto/gen/') || path.startsWith('gateway/aws/model/')
}

function isSource(path: string): boolean {
  return path.endsWith('.ts') && !isGenerated(path)
}

/** By hand and in a language with comments. */
function isWritten(path: string): boolean {
  return isSource(path) || /\.(?:sh|proto)$/.test(path)
}

function isText(path: string): boolean {
  return !/\.(?:png|ico|woff2)$/.test(path)
}

/** A line that is one long text with little around it stays as it is: Biome cuts no texts. */
function isTooLong(line: string): boolean {
  if (line.length <= MAX_COLUMNS) return false
  if (/^\s*(?:\/\/|\/?\*|#)/.test(line)) return true
  const texts = [...line.matchAll(/(['"`])(?:\\.|(?!\1).)*\1/g)].map(([text]) => text.length)
  return line.length - Math.max(0, ...texts) > MAX_COLUMNS / 2
}

/** Without comment lines, which may speak about what code must not do. */
function code(text: string): string {
  return text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')
}

function importsOf(text: string): string[] {
  const found = code(text).matchAll(
    /(?:^(?:import|export)\b[^'"=();]*?\bfrom\s+|^import\s+|\bimport\()['"]([^'"\n]+)['"]/gm,
  )
  return [...found].flatMap((match) => match[1] ?? [])
}

function wrongImport(path: string, from: string): string[] {
  const [layer = ''] = path.split('/')
  if (!from.startsWith('.')) return layer === 'topology' ? [`imports ${from}`] : []
  const target = normalize(join(dirname(path), from))
  // package.json and the like.
  if (!target.includes('/')) return []
  const known = MAY_IMPORT[layer]?.includes(target.split('/')[0] ?? '') === true
  // Of generated files only the protocol is everybody's.
  const open = !isGenerated(target) || target.startsWith('proto/gen/')
  return known && open ? [] : [`imports ${target}`]
}

/** Somebody's home, this checkout, or what lies beside it. */
function places(text: string): string[] {
  const own = [ROOT, dirname(ROOT)].filter((dir) => !EVERYBODYS.test(dir)).map(literally)
  const all = ['/(?:home|Users)/\\w+', ...own.map((dir) => `${dir}(?![\\w-])`)]
  return text.match(new RegExp(`(?<![\\w./-])(?:${all.join('|')})`, 'g')) ?? []
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Names of package registries; which one is used is the machine's own matter. */
function registries(path: string, text: string): string[] {
  if (/(?:^|\/)\.npmrc$/.test(path)) return text.match(/^.*registry.*$/gm) ?? []
  const own = process.env['npm_config_registry']
  const named = own !== undefined && text.includes(new URL(own).host) ? [own] : []
  return path === 'package-lock.json'
    ? [...named, ...(text.match(/"resolved": ".*"/g) ?? [])]
    : named
}

/** Targets of Markdown links and pictures, outside of code, that are no URLs. */
function linksOf(text: string): string[] {
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '')
  const found = [...prose.matchAll(/\]\(<?([^()\s>]+)>?(?: "[^"]*")?\)/g)]
  return found.flatMap((match) => match[1] ?? []).filter((link) => !/^[a-z]+:/.test(link))
}

function leadsSomewhere(path: string, link: string): boolean {
  const [file = '', heading = ''] = link.split('#')
  const target = file === '' ? path : normalize(join(dirname(path), decodeURIComponent(file)))
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return false
  return heading === '' || !target.endsWith('.md') || anchorsOf(read(target).text).has(heading)
}

/** As GitHub makes them: lower case, no punctuation, hyphens for blanks. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#+ +(.*?) *#*$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}
