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
import { loadModel, type Model } from '../../../gateway/aws/model.ts'
import { comparable, generator } from './random-values.ts'

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
