// docs/ec2-actions.md tells the truth: it is what the generator makes, and what it calls undone is
// refused by the endpoint.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exec } from '../../common/exec.ts'
import { SCALING_DEVIATIONS } from '../../gateway/autoscaling/deviations.ts'
import {
  type AnyService,
  loadModel,
  type Model,
  type Ref,
  SERVICES,
} from '../../gateway/aws/model.ts'
import { DEVIATIONS } from '../../gateway/ec2/deviations.ts'
import { BALANCING_DEVIATIONS } from '../../gateway/elb/deviations.ts'
import { S3_DEVIATIONS } from '../../gateway/s3/deviations.ts'
import { type S3Parts, s3Service } from '../../gateway/s3/index.ts'
import { CONTROL_OPERATIONS } from '../../gateway/s3/wire/control.ts'
import { type ServiceParts, serviceHandlers } from '../../gateway/services.ts'
import { call, codeIn } from './http/sign.ts'
import { startEndpoint } from './http/support.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HANDLERS = serviceHandlers({} as ServiceParts)
const { handlers: S3_HANDLERS } = s3Service({
  config: { s3Domains: '', s3WebsiteDomains: '' },
} as S3Parts)
/** Calls at once. */
const LANES = 8
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

test('docs/ec2-actions.md is what the generator makes of models and handlers', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mallee-actions-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'page.md')
  await exec([process.execPath, 'setup/gen-actions.ts', file], { cwd: ROOT, timeoutMs: 60_000 })
  const committed = readFileSync(join(ROOT, 'docs/ec2-actions.md'), 'utf8')
  assert.equal(readFileSync(file, 'utf8'), committed, 'docs/ec2-actions.md: run npm run gen')
})

test('deviations are those of actions that are done', () => {
  for (const [handlers, notes] of [
    [HANDLERS.ec2, DEVIATIONS],
    [HANDLERS.autoscaling, SCALING_DEVIATIONS],
    [HANDLERS.elasticloadbalancing, BALANCING_DEVIATIONS],
    [S3_HANDLERS, S3_DEVIATIONS],
  ] as const) {
    const done = Object.keys(handlers)
    assert.deepEqual(
      Object.keys(notes).filter((action) => !done.includes(action)),
      [],
    )
  }
})

test('handlers are those of actions that exist', () => {
  for (const [service, handlers] of Object.entries({ ...HANDLERS, s3: S3_HANDLERS })) {
    const actions = Object.keys(loadModel(service as AnyService).ops)
    const unknown = Object.keys(handlers).filter((action) => !actions.includes(action))
    const others = service === 's3' ? [...CONTROL_OPERATIONS.values()] : []
    assert.deepEqual(unknown, others, service)
  }
})

for (const service of SERVICES) {
  test(`what ${service} has not done says UnsupportedOperation`, async (t) => {
    const { port } = await startEndpoint(t, HANDLERS)
    const model = loadModel(service)
    const undone = Object.keys(model.ops).filter(
      (action) => !Object.hasOwn(HANDLERS[service], action),
    )
    const lane = async (n: number): Promise<void> => {
      for (const action of undone.filter((_, i) => i % LANES === n)) {
        const asked = required(model, model.ops[action]?.i ?? 's', '')
        const body = new URLSearchParams([['Action', action], ...asked]).toString()
        const answer = await call(port, { service, body, headers: FORM })
        assert.equal(codeIn(await answer.text()), 'UnsupportedOperation', action)
      }
    }
    await Promise.all(Array.from({ length: LANES }, (_, n) => lane(n)))
  })
}

/** The least that fits the model: parameters that are required, with any value of their type. */
function required(model: Model, ref: Ref, path: string, values?: string): [string, string][] {
  if (typeof ref === 'string') {
    const any = { s: 'x', n: '1', d: '1', b: 'true', t: '2026-11-26T00:00:00Z', x: 'eA==' }[ref]
    return [[path, model.enums[values ?? '']?.[0] ?? any]]
  }
  const shape = model.shapes[ref]
  if (shape?.[0] === 'l') {
    const tag = model.protocol === 'ec2' || shape[3] === 1 ? '' : `.${shape[1]}`
    return required(model, shape[2], `${path}${tag}.1`, values)
  }
  if (shape?.[0] === 'm') {
    const entry = `${path}.entry.1`
    const value = required(model, shape[3], `${entry}.${shape[2]}`)
    return [[`${entry}.${shape[1]}`, 'x'], ...value]
  }
  if (shape === undefined) throw new RangeError(`the model has no shape ${ref}`)
  const parts = shape[2]
    .filter((member) => member.req === 1)
    .flatMap((member) => {
      const name = member.x ?? member.n
      const upper = name.charAt(0).toUpperCase() + name.slice(1)
      const wire = model.protocol === 'ec2' ? (member.q ?? upper) : name
      return required(model, member.r, path === '' ? wire : `${path}.${wire}`, member.e)
    })
  // An empty element is a structure in which nothing is said.
  return parts.length === 0 && path !== '' ? [[path, '']] : parts
}
