// The operator's API against its own document: what is answered must be what it says.

import assert from 'node:assert/strict'
import Fastify from 'fastify'

type Schemas = Readonly<Record<string, unknown>>
export interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: 'path' | 'query'
    readonly required: boolean
    readonly schema: object
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> }
  readonly responses: Readonly<Record<string, { content: Readonly<Record<string, Content>> }>>
}
interface Content {
  readonly schema: object
  readonly example?: unknown
}
export interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Schemas }
}

export interface Described extends Operation {
  readonly method: string
  readonly path: string
}

export function operationsOf({ paths }: Document): Described[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({
      ...one,
      path,
      method: method.toUpperCase(),
    })),
  )
}

export function contentOf(
  { content }: { readonly content: Readonly<Record<string, Content>> },
  type = 'application/json',
): Content {
  const found = content[type]
  assert.ok(found, `no ${type} in ${Object.keys(content).join()}`)
  return found
}

/** Throws what ajv says when an answer is not what the document says of it. */
export type CheckAnswer = (
  method: string,
  url: string,
  status: number,
  body: unknown,
) => Promise<void>

export interface Checker {
  readonly check: CheckAnswer
  /** '' when the value satisfies one of the document's own schemas, else why not. */
  readonly satisfies: (schema: object, value: unknown) => string
}

export async function answerChecker(document: Document): Promise<Checker> {
  const customOptions = { removeAdditional: false, coerceTypes: false, allErrors: true }
  const app = Fastify({ ajv: { customOptions } })
  const validators = new Map<object, (value: unknown) => string>()
  let wanted: object = {}
  let compiled: (value: unknown) => string = () => 'not compiled'
  app.get('/', (request) => {
    const validate = request.compileValidationSchema(wanted)
    compiled = (value) => (validate(value) ? '' : JSON.stringify(validate.errors?.slice(0, 3)))
    return {}
  })
  const operations = operationsOf(document)
  for (const { responses, requestBody } of operations) {
    const contents = [...Object.values(responses), ...(requestBody ? [requestBody] : [])]
    for (const { schema } of contents.flatMap(({ content }) => Object.values(content))) {
      wanted = resolved(schema, document.components.schemas) as object
      const answer = await app.inject({ method: 'GET', url: '/' })
      assert.equal(answer.statusCode, 200, answer.body)
      validators.set(schema, compiled)
    }
  }
  const satisfies = (schema: object, value: unknown): string =>
    validators.get(schema)?.(value) ?? 'no such schema'
  return {
    satisfies,
    check: async (method, url, status, body) => {
      const one = operations.find((each) => each.method === method && fits(each.path, url))
      assert.ok(one, `${method} ${url} is not in the document`)
      const answer = one.responses[status] ?? (status >= 500 ? one.responses['default'] : undefined)
      assert.ok(answer, `${one.operationId} answers ${status}: ${JSON.stringify(body)}`)
      const wrong = satisfies(contentOf(answer).schema, body)
      assert.equal(wrong, '', `${one.operationId} answers ${JSON.stringify(body).slice(0, 500)}`)
    },
  }
}

function fits(path: string, url: string): boolean {
  const parts = path.split('/')
  const given = (url.split('?')[0] ?? '').split('/')
  return (
    parts.length === given.length &&
    parts.every((part, i) => part.startsWith('{') || part === given[i])
  )
}

/** With every reference replaced by what it refers to. */
function resolved(value: unknown, schemas: Schemas): unknown {
  if (Array.isArray(value)) return value.map((one) => resolved(one, schemas))
  if (typeof value !== 'object' || value === null) return value
  const { $ref } = value as { $ref?: string }
  if ($ref !== undefined) return resolved(schemas[$ref.split('/').at(-1) ?? ''], schemas)
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, resolved(one, schemas)]),
  )
}
