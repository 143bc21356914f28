// Two ways of sending a bad request: form parameters over raw HTTP, and boto3 with its own checks
// turned off, in one process for all.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { exec } from '../../../common/exec.ts'
import {
  loadModel,
  type Member,
  type Model,
  type Ref,
  type ServiceName,
} from '../../../gateway/aws/model.ts'
import { REGION } from '../ec2/support.ts'
import { call, codeIn } from '../http/sign.ts'
import type { Credentials } from '../iam/world.ts'
import type { Ask } from './row.ts'

/** As AWS names it, with the HTTP status. */
export type Answer = readonly [code: string, status: number]

export interface Asked {
  readonly service: ServiceName
  readonly action: string
  readonly asked: Ask
  /** Of boto3's client. */
  readonly options?: Readonly<Record<string, string>>
}

const PYTHON = '/usr/bin/python3'
/** Of all requests together. */
const BOTO3_MS = 120_000
const BOTO3 = `
import boto3, botocore.config, botocore.exceptions, botocore.model, json, sys
wish = json.load(sys.stdin)
config = botocore.config.Config(parameter_validation=False, retries={'max_attempts': 0})
clients, answers = {}, []
for service, action, asked, options in wish['requests']:
    key = service, json.dumps(options)
    if key not in clients:
        options = {'endpoint_url': wish['url'], 'config': config, **options}
        name = {'elasticloadbalancing': 'elbv2'}.get(service, service)
        clients[key] = boto3.client(name, **options)
    try:
        clients[key]._make_api_call(action, asked)
        answers.append(['accepted', 200])
    except botocore.exceptions.ClientError as error:
        status = error.response['ResponseMetadata']['HTTPStatusCode']
        answers.append([error.response['Error']['Code'], status])
    except (botocore.model.OperationNotFoundError, KeyError):
        answers.append(None)
print(json.dumps(answers))
`
const models = new Map<string, Model>()

/** Over raw HTTP, signed well. */
export async function sendRaw(port: number, keys: Credentials, request: Asked): Promise<Answer> {
  const { service, action, asked } = request
  const model = models.get(service) ?? loadModel(service)
  models.set(service, model)
  const form = typeof asked === 'string' ? asked : formOf(model, action, asked)
  const body = [`Action=${action}&Version=${model.version}`, form].filter(Boolean).join('&')
  const { accessKeyId, secretAccessKey: secret } = keys
  const response = await call(port, { service, body, accessKeyId, secret })
  return [codeIn(await response.text()), response.status]
}

/** Of each request, in their order; null for what is newer than this boto3. */
export async function sendByBoto3(
  t: TestContext,
  url: string,
  keys: Credentials,
  requests: readonly Asked[],
): Promise<(Answer | null)[]> {
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  const wish = {
    url,
    requests: requests.map((one) => [one.service, one.action, one.asked, one.options ?? {}]),
  }
  const { stdout } = await exec([PYTHON, '-c', BOTO3], {
    input: JSON.stringify(wish),
    env: {
      HOME: home,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_DEFAULT_REGION: REGION,
      AWS_EC2_METADATA_DISABLED: 'true',
      PYTHONIOENCODING: 'utf-8',
    },
    timeoutMs: BOTO3_MS,
  })
  return JSON.parse(stdout)
}

/** Form parameters of an input, as the model names them; values of a wrong type are written out. */
export function formOf(model: Model, action: string, input: object): string {
  const pairs: string[] = []
  const add = (name: string, value: unknown): void => {
    pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
  }
  const walk = (ref: Ref | undefined, value: unknown, path: string): void => {
    const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
    if (Array.isArray(value)) {
      const item = shape?.[0] === 'l' ? shape[2] : undefined
      const flat = model.protocol === 'ec2' || (shape?.[0] === 'l' && shape[3] === 1)
      const base = flat || shape?.[0] !== 'l' ? path : `${path}.${shape[1]}`
      for (const [i, each] of value.entries()) walk(item, each, `${base}.${i + 1}`)
      return
    }
    if (typeof value !== 'object' || value === null) {
      add(path, value)
      return
    }
    const members = shape?.[0] === 'o' ? shape[2] : []
    for (const [name, each] of Object.entries(value)) {
      const member = members.find(({ n }) => n === name)
      const part = member === undefined ? name : wireName(model, member)
      walk(member?.r, each, path === '' ? part : `${path}.${part}`)
    }
  }
  walk(model.ops[action]?.i, input, '')
  return pairs.join('&')
}

function wireName(model: Model, { n, x, q }: Member): string {
  const name = x ?? n
  if (model.protocol === 'query') return name
  return q ?? name.charAt(0).toUpperCase() + name.slice(1)
}
