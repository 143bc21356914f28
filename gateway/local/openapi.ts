// The local API as an OpenAPI 3.1 document, made of the routes and their own schemas.

import type { FastifyInstance, RouteOptions } from 'fastify'

const PATH = '/v1/openapi.json'

/** What each route does. */
const SUMMARIES: Readonly<Record<string, string>> = {
  'GET /v1/status': 'The cloud at a glance: instances, racks, hosts, tunnels',
  'POST /v1/tokens': 'Make a token with which hosts join a rack',
  'POST /v1/racks/{name}/drain': 'Place no new instances in a rack',
  'POST /v1/racks/{name}/undrain': 'Place instances in a rack again',
  'DELETE /v1/racks/{name}': 'Take a rack without instances out of the cloud',
  'GET /v1/hosts': 'Hosts, what is free on them, and why nothing is placed there',
  'POST /v1/racks/{name}/hosts/{host}/cordon': 'Place no new instances on a host',
  'POST /v1/racks/{name}/hosts/{host}/uncordon': 'Place instances on a host again',
  'DELETE /v1/racks/{name}/hosts/{host}': 'Take a host without instances out of the cloud',
  'POST /v1/accounts': 'Make an account with a default VPC and an access key',
  'GET /v1/accounts': 'Accounts, their keys and how many instances they have',
  'POST /v1/accounts/{account}/keys': 'Make another access key of an account',
  'GET /v1/accounts/{account}/keys': 'Access keys of an account',
  'DELETE /v1/accounts/{account}/keys/{key}': 'End an access key',
  'GET /v1/accounts/{account}/quotas': 'Quotas of an account, and what it uses of them',
  'PUT /v1/accounts/{account}/quotas/{name}': 'Set a quota of an account',
  'DELETE /v1/accounts/{account}/quotas/{name}': 'Give a quota its default value again',
  'GET /v1/blobs': 'Image files in this cloud',
  'PUT /v1/blobs': 'Bring in an image file, raw or qcow2, which is the body',
  'PUT /v1/cloud': 'Change settings of the whole cloud',
  'GET /v1/pools': 'Public pools, and how many addresses of them are out',
  'POST /v1/pools': 'Give the cloud a pool of public addresses',
  'DELETE /v1/pools/{id}': 'Take a public pool away',
  'GET /v1/types': 'Instance types and how many instances have them',
  'POST /v1/types': 'Make an instance type',
  'DELETE /v1/types/{name}': 'Take away an instance type that no instance has',
  'POST /v1/why': 'Why a packet passes from one end to another, or does not',
  'GET /v1/identity-certificate': "The certificate that proves instances' identity documents",
  [`GET ${PATH}`]: 'This document',
}
/** Its body is no JSON. */
const BINARY = 'PUT /v1/blobs'

interface ObjectSchema {
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, object>>
}

/** Answers with the document of all routes that `app` gets after this call. */
export function addOpenApiRoute(app: FastifyInstance): void {
  const paths: Record<string, Record<string, object>> = {}
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      // Fastify adds HEAD to every GET.
      if (method === 'HEAD') continue
      const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
      paths[path] = { ...paths[path], [method.toLowerCase()]: operation(method, path, route) }
    }
  })
  app.get(PATH, async () => ({
    openapi: '3.1.0',
    info: {
      title: 'Mallee local API',
      version: '1',
      description:
        "What operators do, on the gateway's local socket: `mallee` calls it, and so does " +
        '`curl --unix-socket /run/mallee/gateway.sock http://localhost/v1/status`.',
    },
    servers: [{ url: 'http://localhost', description: "The gateway's local socket" }],
    paths,
    components: { schemas: { Error: ERROR } },
  }))
}

const ERROR = {
  type: 'object',
  required: ['code', 'message'],
  properties: {
    code: { type: 'string', examples: ['RackNotFound'] },
    message: { type: 'string', examples: ['there is no rack a'] },
  },
} as const

function operation(method: string, path: string, { schema }: RouteOptions): object {
  const id = `${method} ${path}`
  const summary = SUMMARIES[id] ?? ''
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      ...{ name, in: 'path', required: true, schema: { type: 'string' } },
    })),
    ...queryOf(schema?.querystring as ObjectSchema | undefined),
  ]
  const body = id === BINARY ? { type: 'string', format: 'binary' } : schema?.body
  const type = id === BINARY ? 'application/octet-stream' : 'application/json'
  const error = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  return {
    operationId: id.replaceAll(/\W+/g, '_').replace(/_$/, ''),
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: true, content: { [type]: { schema: body } } },
    }),
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: { type: 'object' } } } },
      default: { description: 'Not done, and why', content: error },
    },
  }
}

function queryOf({ properties = {}, required = [] }: ObjectSchema = {}): object[] {
  return Object.entries(properties).map(([name, schema]) => ({
    ...{ name, in: 'query', required: required.includes(name), schema },
  }))
}
