// Why the operator's API does not do something: statuses by code, and sentences about what does
// not satisfy a schema, with the value that was given and what would be right.

import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import { type Code, MalleeError } from '../../common/errors.ts'
import { named, object, text } from './schema.ts'

const MAX_SHOWN = 100
const MAX_MESSAGE = 2_000

export const ERROR = named(
  'Error',
  object({
    code: text({ maxLength: 64, description: 'For programs' }),
    message: text({ maxLength: MAX_MESSAGE, description: 'For people, one sentence' }),
  }),
)

export function statusOf(code: Code): number {
  switch (code) {
    case 'BadArgument':
    case 'TokenGarbled':
      return 400
    case 'NotFound':
    case 'RackNotFound':
    case 'HostNotFound':
      return 404
    case 'Conflict':
    case 'NameTaken':
    // What another cloud refuses, or this one about it.
    case 'BadMessage':
    case 'CaMismatch':
    case 'ClockSkew':
    case 'NotAllowed':
    case 'ProtocolMismatch':
    case 'TokenExpired':
    case 'TokenUnknown':
    case 'TokenUsed':
      return 409
    case 'StoreFull':
      return 507
    default:
      return 503
  }
}

export function unknownRack(rack: string): MalleeError {
  return new MalleeError('RackNotFound', `there is no rack ${rack}`)
}

export function unknownHost(rack: string, host: string): MalleeError {
  return new MalleeError('HostNotFound', `rack ${rack} has no host ${host}`)
}

export function unknownAccount(account: string): MalleeError {
  return new MalleeError('NotFound', `there is no account ${account}`)
}

/** As ajv has it when it is told to be verbose. */
interface Fault extends FastifySchemaValidationError {
  readonly data?: unknown
  readonly parentSchema?: { readonly properties?: object }
}

/** Of several faults the first is told. `part` is `body`, `querystring` or `params`. */
export function schemaError(faults: readonly FastifySchemaValidationError[], part: string): Error {
  const [fault] = faults as readonly Fault[]
  return new Error(fault === undefined ? `${part} is wrong` : sentenceOf(fault, part))
}

function sentenceOf(fault: Fault, part: string): string {
  const { keyword, instancePath, params, data, message = 'is wrong', parentSchema } = fault
  const name = instancePath.slice(1).replaceAll('/', '.') || part
  switch (keyword) {
    case 'required':
      return `${params['missingProperty']} is missing in the ${part}`
    case 'additionalProperties': {
      const known = Object.keys(parentSchema?.properties ?? {}).join(', ')
      const given = JSON.stringify(params['additionalProperty'])
      return `${given} in ${name} is none of ${known}`
    }
    case 'enum':
      return `${name} ${shown(data)} is none of ${[params['allowedValues']].flat().join(', ')}`
    default:
      return `${name} ${shown(data)} ${message}`
  }
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, MAX_SHOWN)
}
