// The OpenAPI document says what the local API does: its paths are answered, its bodies accepted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly type: string } }>>
  }
}

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

test('GET /v1/openapi.json describes every route with its parameters and its body', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { app } = localApi(t, cloud)
  const answer = await app.inject({ method: 'GET', url: '/v1/openapi.json' })
  const { openapi, paths }: Document = answer.json()
  assert.equal(openapi, '3.1.0')
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  )
  assert.ok(all.length >= 29, `${all.length} operations`)
  assert.equal(new Set(all.map((one) => one.operationId)).size, all.length)
  for (const { path, method, summary, parameters = [], requestBody } of all) {
    assert.notEqual(summary, '', `${method} ${path}`)
    const url = path.replaceAll(/\{\w+\}/g, 'x')
    assert.ok(app.hasRoute({ method: method.toUpperCase() as 'GET', url: colons(path) }), path)
    const named = parameters.filter((one) => one.in === 'path').map((one) => `{${one.name}}`)
    assert.deepEqual(path.match(/\{\w+\}/g) ?? [], named)
    const type = Object.keys(requestBody?.content ?? {})[0]
    if (type !== 'application/json') continue
    // What is no object at all is refused for its form, before anything is looked for.
    const refused = await app.inject({ method: method.toUpperCase() as 'PUT', url, payload: [] })
    assert.equal(refused.statusCode, 400, `${method} ${path}`)
    assert.equal(refused.json().code, 'BadArgument')
  }
  const set = paths['/v1/accounts/{account}/quotas/{name}']?.['put']
  assert.deepEqual(set?.requestBody?.content['application/json']?.schema, {
    ...{ type: 'object', required: ['value'], additionalProperties: false },
    properties: { value: { type: 'integer', minimum: 0, maximum: 1_000_000_000 } },
  })
  const blob = paths['/v1/blobs']?.['put']
  assert.deepEqual(Object.keys(blob?.requestBody?.content ?? {}), ['application/octet-stream'])
  assert.deepEqual(
    blob?.parameters?.map((one) => [one.name, one.in]),
    [['name', 'query']],
  )
})

function colons(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}
