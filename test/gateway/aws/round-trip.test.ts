// Every operation of the models, with random input and output, against the official SDK's own
// serialiser and deserialiser, in process: what it writes we read, what we write it reads.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import * as autoScalingSdk from '@aws-sdk/client-auto-scaling'
import * as ec2Sdk from '@aws-sdk/client-ec2'
import * as loadBalancingSdk from '@aws-sdk/client-elastic-load-balancing-v2'
import * as iamSdk from '@aws-sdk/client-iam'
import * as stsSdk from '@aws-sdk/client-sts'
import { createCodec } from '../../../gateway/aws/codec.ts'
import { parseForm } from '../../../gateway/aws/form.ts'
import { loadModel, type Member, type Model, type Ref } from '../../../gateway/aws/model.ts'

const ROUNDS = 4

/** Inputs to which the SDK adds what the caller did not say: a URL it signs by itself. */
const ADDED_BY_THE_SDK: Readonly<Record<string, readonly string[]>> = {
  CopySnapshot: ['DestinationRegion', 'PresignedUrl'],
}

interface Sdk {
  readonly [name: string]: unknown
}
interface Client {
  send(command: unknown): Promise<Record<string, unknown>>
}

for (const [service, sdk, clientName] of [
  ['ec2', ec2Sdk, 'EC2Client'],
  ['sts', stsSdk, 'STSClient'],
  ['iam', iamSdk, 'IAMClient'],
  ['autoscaling', autoScalingSdk, 'AutoScalingClient'],
  ['elasticloadbalancing', loadBalancingSdk, 'ElasticLoadBalancingV2Client'],
] as const) {
  test(`the ${service} codec agrees with the SDK on every operation`, async () => {
    const model = loadModel(service)
    const mismatches = await roundTrips(model, sdk, clientName)
    assert.deepEqual(mismatches, [])
  })
}

async function roundTrips(model: Model, sdk: Sdk, clientName: string): Promise<string[]> {
  const codec = createCodec(model)
  const random = generator(model, 7)
  const wire = { sent: '', answer: '' }
  const client = clientOver(wire, sdk[clientName] as new (config: object) => Client)
  const mismatches: string[] = []
  for (const [operation, { i, o }] of Object.entries(model.ops)) {
    const Command = sdk[`${operation}Command`] as new (input: unknown) => unknown
    for (let round = 0; round < ROUNDS; round++) {
      const input = random.value(i)
      const output = o === null ? {} : random.value(o)
      const action = { operation, version: model.version }
      wire.answer = codec.encode(action, output as object, 'request-1')
      try {
        const { $metadata: _, ...got } = await client.send(new Command(input))
        const parameters = parseForm(wire.sent)
        assert.deepEqual(codec.actionOf(parameters), action)
        const decoded = codec.decode(operation, parameters) as Record<string, unknown>
        for (const name of ADDED_BY_THE_SDK[operation] ?? []) {
          delete decoded[name]
          delete (input as Record<string, unknown>)[name]
        }
        assert.deepEqual(comparable(decoded), comparable(input), 'input')
        assert.deepEqual(
          comparable(got),
          comparable(o === null ? {} : withReturn(output, wire.answer)),
          'output',
        )
      } catch (error) {
        mismatches.push(`${operation}: ${error}`)
      }
    }
  }
  return mismatches
}

/** Where the handler said nothing, the answer says `<return>true</return>`. */
function withReturn(output: unknown, answer: string): unknown {
  const isEmpty = comparable(output) === undefined
  const isSaid = answer.includes('<return>true</return>')
  return isEmpty && isSaid ? { Return: true } : output
}

function clientOver(
  wire: { sent: string; answer: string },
  Client: new (config: object) => Client,
): Client {
  const requestHandler = {
    metadata: {},
    handle: async (request: { body: string }) => {
      wire.sent = request.body
      const body = Readable.from([Buffer.from(wire.answer)])
      return { response: { statusCode: 200, headers: {}, body } }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  }
  const credentials = { accessKeyId: 'A', secretAccessKey: 'S' }
  const endpoint = 'http://mallee.test'
  return new Client({ region: 'r', endpoint, maxAttempts: 1, credentials, requestHandler })
}

/** Values of the model's shapes from a linear congruential generator. */
function generator(model: Model, seed: number): { readonly value: (ref: Ref) => unknown } {
  let state = seed
  function below(limit: number): number {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % limit
  }
  function pick<T>(values: readonly T[]): T {
    return values[below(values.length)] as T
  }
  function value(ref: Ref, depth = 0, enumName?: string): unknown {
    if (typeof ref === 'number') return compound(ref, depth, enumName)
    if (enumName !== undefined) return pick(model.enums[enumName] ?? [])
    switch (ref) {
      case 's':
        return pick(['a', 'b c', '<&>"', 'é漢🐨', 'x=1&y', '+', '2', ' padded ', 'a\r\nb', '%41'])
      case 'n':
        return below(1000) - 10
      case 'd':
        return below(1000) / 8
      case 'b':
        return below(2) === 1
      case 't':
        return new Date(1.7e12 + below(1_000_000) * 1000)
      case 'x':
        return new Uint8Array(Buffer.from(`blob${below(9)}`))
    }
  }
  function compound(ref: number, depth: number, enumName: string | undefined): unknown {
    const shape = model.shapes[ref]
    if (shape?.[0] === 'l') {
      return Array.from({ length: 1 + below(2) }, () => value(shape[2], depth + 1, enumName))
    }
    if (shape?.[0] === 'm') return { k1: value(shape[3], depth + 1) }
    const members = (shape?.[2] ?? []).filter((member) => isWanted(member, depth))
    const entries = members.map((each) => [each.n, value(each.r, depth + 1, each.e)] as const)
    if (entries.length > 0 || depth === 0) return Object.fromEntries(entries)
    return least(shape?.[2] ?? [], depth)
  }
  /** Not empty, as an empty structure that is required cannot be written. */
  function least(members: readonly Member[], depth: number): unknown {
    const one = members.find((each) => typeof each.r === 'string') ?? members[0]
    return one === undefined ? {} : { [one.n]: value(one.r, depth + 1, one.e) }
  }
  function isWanted(member: Member, depth: number): boolean {
    if (member.req === 1 || member.tok === 1) return true
    if (depth > 5 && typeof member.r === 'number') return false
    return below(depth > 2 ? 4 : 2) === 0
  }
  return { value: (ref) => value(ref) }
}

/** Neither protocol can tell an empty structure or list from an absent one: both are dropped. */
function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (value instanceof Date || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(comparable).filter((item) => item !== undefined)
    return items.length === 0 ? undefined : items
  }
  const entries = Object.entries(value)
    .map(([key, held]) => [key, comparable(held)] as const)
    .filter(([, held]) => held !== undefined)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
