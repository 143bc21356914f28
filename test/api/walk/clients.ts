// The clients that walk: the JavaScript SDK in this process, and boto3 and the aws CLI in processes
// of their own that keep their models loaded.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import * as autoscaling from '@aws-sdk/client-auto-scaling'
import * as ec2 from '@aws-sdk/client-ec2'
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2'
import * as iam from '@aws-sdk/client-iam'
import * as sts from '@aws-sdk/client-sts'
import { loadModel, type Model, type Ref, type ServiceName } from '../../../gateway/aws/model.ts'
import type { Step } from './row.ts'

const REGION = 'mallee-1'
/** Of a page: the least that all but a few actions take. */
const PAGE_SIZE = 5
const PAGE_SIZES: Readonly<Record<string, number>> = {
  ...{ DescribeInstanceEventWindows: 20, GetIpamPoolAllocations: 1000 },
  ...{ GetVpnConnectionDeviceTypes: 200 },
}

/** Access key id, secret, and the session's token for temporary ones. */
export type Keys = readonly string[]

export interface Asked extends Step {
  /** Once; through all pages; or until a waiter is content. */
  readonly kind: 'call' | 'pages' | 'wait'
  readonly keys: Keys
}

export type Said =
  | { readonly answer: unknown }
  | { readonly code: string; readonly message: string }
  /** The client is too old for the action, or has no pages or waiter for it. */
  | { readonly unknown: true }

export interface WalkClient {
  readonly name: string
  /** Its plain call goes through all pages by itself. */
  readonly pagesAlways: boolean
  readonly ask: (asked: Asked) => Promise<Said>
  readonly end: () => Promise<void>
}

/** What the package of a service exports, by name. */
type Sdk = Readonly<Record<string, unknown>>
type Paginate = (config: object, input: object) => AsyncIterable<Readonly<Record<string, unknown>>>
type Wait = (config: object, input: object) => Promise<unknown>
type Caller = Readonly<Record<string, (input: object) => Promise<unknown>>> & {
  readonly destroy: () => void
}

export const SDKS: { readonly [S in ServiceName]: readonly [sdk: Sdk, client: string] } = {
  ec2: [ec2 as unknown as Sdk, 'EC2'],
  iam: [iam as unknown as Sdk, 'IAM'],
  sts: [sts as unknown as Sdk, 'STS'],
  autoscaling: [autoscaling as unknown as Sdk, 'AutoScaling'],
  elasticloadbalancing: [elb as unknown as Sdk, 'ElasticLoadBalancingV2'],
}

const models = new Map<ServiceName, Model>()

export function modelOf(service: ServiceName): Model {
  const model = models.get(service) ?? loadModel(service)
  models.set(service, model)
  return model
}

export function sdkClient(endpoint: string): WalkClient {
  const callers = new Map<string, Caller>()
  const callerOf = (
    service: ServiceName,
    [accessKeyId = '', secretAccessKey = '', token]: Keys,
  ) => {
    const name = `${service} ${accessKeyId}`
    const kept = callers.get(name)
    if (kept !== undefined) return kept
    const [sdk, className] = SDKS[service]
    const session = token === undefined ? {} : { sessionToken: token }
    const credentials = { accessKeyId, secretAccessKey, ...session }
    const make = sdk[className] as new (config: object) => Caller
    const made = new make({ endpoint, region: REGION, credentials, maxAttempts: 1 })
    callers.set(name, made)
    return made
  }
  return {
    name: 'the JavaScript SDK',
    pagesAlways: false,
    ask: async ({ kind, service, action, input, more, keys }) => {
      const client = callerOf(service, keys)
      const typed = typedFor(modelOf(service), action, input)
      try {
        if (kind === 'wait')
          return { answer: await waited(service, more.wait ?? '', client, typed) }
        if (kind === 'pages') return await paged(service, action, client, typed)
        return { answer: plain(await client[lowerFirst(action)]?.(typed)) }
      } catch (error) {
        return refusalOf(error as Error & { Code?: string })
      }
    },
    end: async () => {
      callers.forEach((caller) => void caller.destroy())
    },
  }
}

/** A client in Python: `file` beside this one, run by `python`. */
export function pythonClient(
  { name, python, file }: { name: string; python: string; file: string },
  endpoint: string,
): WalkClient {
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  const env = {
    ...{ HOME: home, PATH: process.env['PATH'], AWS_EC2_METADATA_DISABLED: 'true' },
    ...{ AWS_MAX_ATTEMPTS: '1', AWS_PAGER: '', PYTHONIOENCODING: 'utf-8', LC_ALL: 'C.UTF-8' },
    ...{ AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' },
  }
  const child = spawn(python, [join(import.meta.dirname, file), endpoint, REGION], { env })
  const said = lines(child)
  return {
    name,
    pagesAlways: file.startsWith('cli'),
    ask: async ({ kind, service, action, input, more, keys }) => {
      const { wait, argv } = more
      const line = { kind, service, action, input, keys, wait, argv, size: sizeOf(action) }
      child.stdin.write(`${JSON.stringify(line)}\n`)
      return JSON.parse(await said.next())
    },
    end: async () => {
      child.stdin.end()
      await said.ended
      rmSync(home, { recursive: true })
    },
  }
}

function lines(child: ChildProcessWithoutNullStreams) {
  const err: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const reader: Interface = createInterface({ input: child.stdout })
  const iterator = reader[Symbol.asyncIterator]()
  return {
    ended,
    next: async (): Promise<string> => {
      const { value, done } = await iterator.next()
      if (done) throw new Error(`${child.spawnfile} ended: ${Buffer.concat(err)}`)
      return value
    },
  }
}

async function paged(
  service: ServiceName,
  action: string,
  client: Caller,
  input: object,
): Promise<Said> {
  const paginate = SDKS[service][0][`paginate${action}`] as Paginate | undefined
  if (paginate === undefined) return { unknown: true }
  const whole: Record<string, unknown> = {}
  for await (const page of paginate({ client, pageSize: sizeOf(action) }, input)) {
    for (const [name, value] of Object.entries(page)) {
      const before = whole[name]
      whole[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value
    }
  }
  return { answer: plain(whole) }
}

/** The SDK's waiters are called waitUntil and then as boto3's. */
async function waited(
  service: ServiceName,
  wait: string,
  client: Caller,
  input: object,
): Promise<object> {
  const name = wait.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const waitUntil = SDKS[service][0][`waitUntil${name}`] as Wait | undefined
  if (waitUntil === undefined) throw new RangeError(`the SDK has no waiter ${wait}`)
  await waitUntil({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 2 }, input)
  return {}
}

/** With dates and bytes where the model has them: a walk has only texts. */
function typedFor(model: Model, action: string, input: object): object {
  const typed = typedAs(model, model.ops[action]?.i, input) as Record<string, unknown>
  // boto3 and the CLI write the user data of this one action as base64 by themselves.
  const { UserData } = typed
  if (action !== 'RunInstances' || typeof UserData !== 'string') return typed
  return { ...typed, UserData: Buffer.from(UserData).toString('base64') }
}

function typedAs(model: Model, ref: Ref | undefined, value: unknown): unknown {
  if (ref === 't' && typeof value === 'string') return new Date(value)
  if (ref === 'x' && typeof value === 'string') return Buffer.from(value)
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  if (Array.isArray(value)) {
    return value.map((one) => typedAs(model, shape?.[0] === 'l' ? shape[2] : undefined, one))
  }
  if (shape?.[0] !== 'o' || typeof value !== 'object' || value === null) return value
  const refs = new Map(shape[2].map(({ n, r }) => [n, r]))
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, typedAs(model, refs.get(name), one)]),
  )
}

/** As JSON has it. */
function plain(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? {}))
}

function refusalOf(error: Error & { Code?: string }): Said {
  return { code: error.Code ?? error.name, message: error.message }
}

function sizeOf(action: string): number {
  return PAGE_SIZES[action] ?? PAGE_SIZE
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
