// JSON Schemas as OpenAPI 3.1 has them, and with each the type of what satisfies it.

declare const TYPE: unique symbol

/** A JSON Schema (2020-12) of a `T`. */
export interface Schema<T> {
  readonly [keyword: string]: unknown
  /** In the compiler's eyes only. */
  readonly [TYPE]?: T
}

export type Typed<S> = S extends Schema<infer T> ? T : never
type Properties = Readonly<Record<string, Schema<unknown>>>
type All<P extends Properties> = { readonly [K in keyof P]: Typed<P[K]> }

export function text(keywords: {
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly description?: string
}): Schema<string> {
  return { type: 'string', ...keywords }
}

/** As OpenAPI marks what is not to be shown again. */
export const SECRET = 'password'

/** Neither kept in clear nor written down anywhere. */
export function secret(description: string): Schema<string> {
  return { type: 'string', format: SECRET, description }
}

export function integer(keywords: {
  readonly minimum?: number
  readonly maximum?: number
  readonly description?: string
}): Schema<number> {
  return { type: 'integer', ...keywords }
}

/** Milliseconds since 1970. */
export function time(description: string): Schema<number> {
  return { type: 'integer', minimum: 0, description: `${description}; milliseconds since 1970` }
}

export function flag(description: string): Schema<boolean> {
  return { type: 'boolean', description }
}

export function oneOf<const T extends string>(...values: readonly T[]): Schema<T> {
  return { enum: values }
}

export function list<T>(
  items: Schema<T>,
  keywords: {
    readonly minItems?: number
    readonly maxItems?: number
    readonly uniqueItems?: boolean
    readonly description?: string
  } = {},
): Schema<readonly T[]> {
  return { type: 'array', items, ...keywords }
}

/** By names that are not known beforehand. */
export function dictionary<T>(
  values: Schema<T>,
  description: string,
): Schema<Readonly<Record<string, T>>> {
  return { type: 'object', additionalProperties: values, description }
}

export function nullable<T>(schema: Schema<T>, description?: string): Schema<T | null> {
  return { anyOf: [schema, { type: 'null' }], ...(description && { description }) }
}

/** Has all of `required`, may have `optional`, and has nothing else. */
export function object<P extends Properties, O extends Properties = Record<never, never>>(
  required: P,
  optional?: O,
): Schema<All<P> & Partial<All<O>>> {
  return {
    type: 'object',
    required: Object.keys(required),
    additionalProperties: false,
    properties: { ...required, ...optional },
  }
}

/** As an entry of the document's components, by its name. */
export function named<T>(title: string, schema: Schema<T>): Schema<T> {
  return { title, ...schema }
}

/** Parameters of paths that several routes have. */
export const rackParam = text({ minLength: 1, maxLength: 63, description: 'Name of the rack' })
export const hostParam = text({ minLength: 1, maxLength: 63, description: 'Name of the host' })
export const accountParam = text({
  ...{ minLength: 1, maxLength: 64 },
  description: 'Twelve digits of the account',
})
