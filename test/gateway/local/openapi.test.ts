// The OpenAPI document says what the operator's API does, all of it: what goes in, what comes out,
// why not, with an example of each. That real answers satisfy it every test of the API checks.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { addOpenApiRoute } from '../../../gateway/local/openapi.ts'
import { answerChecker, contentOf, type Document, operationsOf } from '../../support/document.ts'
import { openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

const PLAIN = /^\$ref$|^type$|^anyOf$|^enum$/

test('every operation has a name, a summary, typed input and output, refusals, examples', async (t) => {
  const { app } = localApi(t, await openCloud(t, { racks: ['a'] }))
  const document: Document = (await app.inject('/v1/openapi.json')).json()
  assert.equal(document.openapi, '3.1.0')
  const { satisfies } = await answerChecker(document)
  const all = operationsOf(document)
  assert.ok(all.length >= 35, `${all.length} operations`)
  assert.equal(new Set(all.map((one) => one.operationId)).size, all.length)
  for (const one of all) {
    const { operationId: id, path, method, parameters = [], requestBody, responses } = one
    assert.match(id, /^[a-z]+[A-Z][A-Za-z]+$/)
    assert.match(one.summary, /^[A-Z].{10,}[^.]$/, id)
    const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
    assert.ok(app.hasRoute({ method: method as 'GET', url }), `${method} ${url}`)
    const named = parameters.filter((each) => each.in === 'path').map((each) => `{${each.name}}`)
    assert.deepEqual(path.match(/\{\w+\}/g) ?? [], named, id)
    for (const { name, schema } of parameters) typed(schema, `${id} ${name}`)
    const { schema, example } = contentOf(responses['200'] ?? { content: {} })
    typed(schema, id)
    assert.equal(satisfies(schema, example), '', `the example of ${id}`)
    assert.deepEqual(contentOf(responses['default'] ?? { content: {} }).schema, {
      $ref: '#/components/schemas/Error',
    })
    const refusals = Object.entries(responses).filter(([status]) => /^[45]/.test(status))
    for (const [status, refusal] of refusals) {
      const said = contentOf(refusal)
      assert.equal(satisfies(said.schema, said.example), '', `${id} ${status}`)
    }
    if (parameters.length > 0 || requestBody) assert.ok(responses['400'], id)
    if (requestBody === undefined) continue
    const [type = ''] = Object.keys(requestBody.content)
    const body = contentOf(requestBody, type)
    if (type === 'application/octet-stream') continue
    typed(body.schema, id)
    assert.equal(satisfies(body.schema, body.example), '', `the body's example of ${id}`)
    // What is no object at all is refused for its form, before anything is looked for.
    const asked = path.replaceAll(/\{\w+\}/g, 'x')
    const refused = await app.inject({ method: method as 'PUT', url: asked, payload: [] })
    assert.equal(refused.statusCode, 400, id)
    assert.equal(refused.json().code, 'BadArgument')
  }
})

test('everything that comes in has a limit', async (t) => {
  const { app } = localApi(t, await openCloud(t, { racks: ['a'] }))
  const document: Document = (await app.inject('/v1/openapi.json')).json()
  const seen: string[] = []
  for (const { operationId: id, parameters = [], requestBody } of operationsOf(document)) {
    for (const { name, schema } of parameters) limited(schema, `${id} ${name}`, seen)
    const body = requestBody?.content['application/json']?.schema
    if (body !== undefined) limited(body, id, seen)
  }
  assert.ok(seen.length > 40, `${seen.length} inputs`)
})

/** Every text, number and list in it, at any depth. */
function limited(schema: object, what: string, seen: string[]): void {
  const { type, properties, items, anyOf, ...keywords } = schema as {
    readonly type?: string
    readonly properties?: Readonly<Record<string, object>>
    readonly items?: object
    readonly anyOf?: readonly object[]
  }
  seen.push(what)
  const has = (...names: string[]): boolean => names.every((name) => name in keywords)
  if (type === 'string') assert.ok(has('maxLength') || has('pattern'), what)
  if (type === 'integer') assert.ok(has('minimum', 'maximum'), what)
  if (type === 'array') assert.ok(has('maxItems') || has('uniqueItems'), what)
  if (type === 'object') assert.ok(has('additionalProperties'), what)
  for (const [name, one] of Object.entries(properties ?? {})) limited(one, `${what}.${name}`, seen)
  for (const one of [...(items ? [items] : []), ...(anyOf ?? [])]) limited(one, what, seen)
}

test('a route that nobody described cannot be added', () => {
  const app = Fastify()
  addOpenApiRoute(app)
  assert.throws(() => app.get('/v1/secret', async () => ({})), /GET \/v1\/secret is not described/)
})

test('what does not satisfy a schema is refused with its name, its value and what fits', async (t) => {
  const { call } = localApi(t, await openCloud(t, { racks: ['a'] }))
  const token = { rack: 'a', roles: ['cc'], minutes: 60 }
  for (const [payload, message] of [
    [{ ...token, minutes: 0 }, 'minutes 0 must be >= 1'],
    [{ ...token, minutes: 'many' }, 'minutes "many" must be integer'],
    [{ ...token, roles: ['cc', 'vip'] }, 'roles.1 "vip" is none of cc, sc, nc'],
    [{ ...token, hours: 1 }, '"hours" in body is none of rack, roles, minutes, additional'],
    [{ rack: 'a', roles: ['cc'] }, 'minutes is missing in the body'],
    [{ ...token, rack: 'x'.repeat(64) }, /^rack "x+" must NOT have more than 63 characters$/],
  ] as const) {
    const { status, body } = await call('POST', '/v1/tokens', payload)
    assert.deepEqual([status, body['code']], [400, 'BadArgument'])
    if (typeof message === 'string') assert.equal(body['message'], message)
    else assert.match(String(body['message']), message)
  }
})

/** Does the schema say more than that it is something? */
function typed(schema: object, what: string): void {
  assert.ok(
    Object.keys(schema).some((keyword) => PLAIN.test(keyword)),
    what,
  )
  const { type, properties, additionalProperties, description } = schema as Record<string, unknown>
  if (type === 'object') assert.ok(properties ?? additionalProperties ?? description, what)
}
