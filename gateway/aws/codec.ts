// One AWS query service's protocol: request parameters in, XML out, both ruled by its model. Knows
// `ec2` (EC2) and `query` (STS, IAM, ...).

import { ApiError } from './api-error.ts'
import { createDecoder } from './decode.ts'
import { createEncoder, escapeXml } from './encode.ts'
import { ownParameters, shorten, treeOf } from './form.ts'
import type { Model } from './model.ts'

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
const VERSION = /^\d{4}-\d\d-\d\d$/

export interface Codec {
  /** Operations of the model, whether or not anybody implements them. */
  readonly operations: ReadonlySet<string>
  /**
   * The operation that the parameters name and the version that the caller speaks: any date, as EC2
   * takes older ones. Throws MissingAction, InvalidAction, InvalidParameterValue.
   */
  readonly actionOf: (parameters: ReadonlyMap<string, string>) => Action
  /** Input of the SDK's type. Throws ApiError for everything that does not fit the model. */
  readonly decode: (operation: string, parameters: ReadonlyMap<string, string>) => unknown
  /** The XML of an answer. `output` is of the SDK's type. */
  readonly encode: (action: Action, output: object, requestId: string) => string
  /** The XML of a refusal. */
  readonly encodeError: (error: ApiError, requestId: string) => string
}

export interface Action {
  readonly operation: string
  readonly version: string
}

export function createCodec(model: Model): Codec {
  const decode = createDecoder(model)
  const encode = createEncoder(model)
  const operations: ReadonlySet<string> = new Set(Object.keys(model.ops))
  const acknowledged = operationsThatReturnTrue(model)

  function shapesOf(operation: string): Model['ops'][string] {
    const shapes = operations.has(operation) ? model.ops[operation] : undefined
    if (shapes === undefined) throw new RangeError(`the model has no operation ${operation}`)
    return shapes
  }

  return {
    operations,
    actionOf(parameters) {
      const operation = parameters.get('Action') ?? ''
      if (operation === '') {
        throw new ApiError('MissingAction', 'The request must contain the parameter Action')
      }
      if (!operations.has(operation)) {
        const message = `The action ${shorten(operation)} is not valid for this web service.`
        throw new ApiError('InvalidAction', message)
      }
      const version = parameters.get('Version') ?? model.version
      if (!VERSION.test(version)) {
        const message = `Value (${shorten(version)}) for parameter Version is invalid.`
        throw new ApiError('InvalidParameterValue', message)
      }
      return { operation, version }
    },
    decode(operation, parameters) {
      try {
        return decode(shapesOf(operation).i, treeOf(ownParameters(parameters)))
      } catch (error) {
        // EC2 has a code for each way of not fitting; IAM, STS and the others have one for all.
        if (model.protocol === 'ec2' || !(error instanceof ApiError)) throw error
        throw new ApiError('ValidationError', error.message)
      }
    },
    encode({ operation, version }, output, requestId) {
      const { o } = shapesOf(operation)
      const body = o === null ? '' : encode(o, output)
      const xmlns = model.xmlns.replace(model.version, version)
      if (model.protocol === 'ec2') {
        const done = body === '' && acknowledged.has(operation) ? '<return>true</return>' : body
        return [
          `${DECLARATION}<${operation}Response xmlns="${xmlns}">`,
          `<requestId>${escapeXml(requestId)}</requestId>${done}</${operation}Response>`,
        ].join('')
      }
      const result = o === null ? '' : `<${operation}Result>${body}</${operation}Result>`
      return [
        `<${operation}Response xmlns="${xmlns}">${result}`,
        `<ResponseMetadata><RequestId>${escapeXml(requestId)}</RequestId></ResponseMetadata>`,
        `</${operation}Response>`,
      ].join('')
    },
    encodeError: (error, requestId) => encodeError(model, error, requestId),
  }
}

/**
 * EC2 answers `<return>true</return>` where there is nothing else to say: operations without output
 * and those whose output is only that.
 */
function operationsThatReturnTrue(model: Model): ReadonlySet<string> {
  const found = Object.entries(model.ops).filter(([, { o }]) => {
    if (o === null) return true
    const shape = typeof o === 'number' ? model.shapes[o] : undefined
    const [first, ...others] = shape?.[0] === 'o' ? shape[2] : []
    return others.length === 0 && first?.n === 'Return' && first.r === 'b'
  })
  return new Set(found.map(([operation]) => operation))
}

function encodeError(model: Model, error: ApiError, requestId: string): string {
  const id = escapeXml(requestId)
  const what = `<Code>${escapeXml(error.code)}</Code><Message>${escapeXml(error.message)}</Message>`
  if (model.protocol === 'ec2') {
    // EC2 has no namespace here and spells it RequestID.
    const errors = `<Errors><Error>${what}</Error></Errors>`
    return `${DECLARATION}<Response>${errors}<RequestID>${id}</RequestID></Response>`
  }
  const type = error.status < 500 ? 'Sender' : 'Receiver'
  return [
    `<ErrorResponse xmlns="${model.xmlns}"><Error><Type>${type}</Type>${what}</Error>`,
    `<RequestId>${id}</RequestId></ErrorResponse>`,
  ].join('')
}
