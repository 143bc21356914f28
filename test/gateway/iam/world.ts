// A cloud with two accounts behind a listening endpoint, which the official SDK calls.

import assert from 'node:assert/strict'
import { AutoScaling } from '@aws-sdk/client-auto-scaling'
import { EC2 } from '@aws-sdk/client-ec2'
import { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2'
import { IAM } from '@aws-sdk/client-iam'
import { STS } from '@aws-sdk/client-sts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { secretsOf } from '../../../gateway/access-keys.ts'
import { createAccount } from '../../../gateway/accounts.ts'
import { autoScalingHandlers } from '../../../gateway/autoscaling/index.ts'
import { ec2Handlers } from '../../../gateway/ec2/index.ts'
import { loadBalancingHandlers } from '../../../gateway/elb/index.ts'
import { createAuthorizer } from '../../../gateway/iam/authorize.ts'
import { iamHandlers } from '../../../gateway/iam/index.ts'
import { keyUses } from '../../../gateway/iam/key-uses.ts'
import type { Sealer } from '../../../gateway/secrets.ts'
import type { State } from '../../../gateway/store/state.ts'
import { stsHandlers } from '../../../gateway/sts/index.ts'
import type { Ending } from '../../support/cloud.ts'
import { testSealer } from '../../support/sealer.ts'
import { openCloud, REGION } from '../ec2/support.ts'
import { type Endpoint, startEndpoint } from '../http/support.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface World {
  readonly state: State
  readonly sealer: Sealer
  readonly endpoint: Endpoint
  readonly account: string
  readonly root: Credentials
  /** Root of another account. */
  readonly other: Credentials
  readonly iam: (as?: Credentials) => IAM
  readonly sts: (as?: Credentials) => STS
  readonly ec2: (as?: Credentials) => EC2
  readonly elb: (as?: Credentials) => ElasticLoadBalancingV2
  readonly autoScaling: (as?: Credentials) => AutoScaling
}

export async function openWorld(t: Ending): Promise<World> {
  const cloud = await openCloud(t)
  const { state } = cloud
  const sealer = await testSealer(t)
  const parts = { state, sealer, clock: systemClock, randomHex }
  const { account, ...root } = await createAccount(parts, 'first')
  const other = await createAccount(parts, 'second')
  const endpoint = await startEndpoint(t, {
    ec2: ec2Handlers({
      ...{ state, randomHex, sealer, region: REGION },
      consoleOutput: async () => ({ payload: Buffer.from(''), atMs: 0 }),
    }),
    sts: stsHandlers({ state, sealer, randomHex }),
    iam: iamHandlers({ state, sealer, randomHex }),
    elasticloadbalancing: loadBalancingHandlers({ state, randomHex, region: REGION }),
    autoscaling: autoScalingHandlers({ state, randomHex, sealer, region: REGION }),
    authorize: createAuthorizer({ state, sealer, region: REGION }),
    secretOf: secretsOf(state, sealer),
    keyUsed: keyUses({ state, log: silentLog }),
  })
  const config = (credentials: Credentials = root) => ({
    ...{ endpoint: endpoint.url, region: REGION, credentials, maxAttempts: 1 },
  })
  const keep = <C extends { destroy: () => void }>(client: C): C => {
    t.after(async () => client.destroy())
    return client
  }
  return {
    ...{ state, sealer, endpoint, account, root, other },
    iam: (as) => keep(new IAM(config(as))),
    sts: (as) => keep(new STS(config(as))),
    ec2: (as) => keep(new EC2(config(as))),
    elb: (as) => keep(new ElasticLoadBalancingV2(config(as))),
    autoScaling: (as) => keep(new AutoScaling(config(as))),
  }
}

/** A user of the first account and a key of it. */
export async function newUser(world: World, name: string): Promise<Credentials> {
  const iam = world.iam()
  await iam.createUser({ UserName: name })
  const { AccessKey } = await iam.createAccessKey({ UserName: name })
  assert.ok(AccessKey?.AccessKeyId && AccessKey.SecretAccessKey)
  return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey }
}

export function policyDocument(action: string | readonly string[], effect = 'Allow'): string {
  const statement = { Effect: effect, Action: action, Resource: '*' }
  return JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
}

export function trustOf(principal: object, condition?: object): string {
  const statement = {
    Effect: 'Allow',
    Action: 'sts:AssumeRole',
    Principal: principal,
    ...(condition === undefined ? {} : { Condition: condition }),
  }
  return JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
}

/** The refusal that a call must get: its code and HTTP status. */
export async function refused(
  call: Promise<unknown>,
  code: string,
  status: number,
): Promise<string> {
  let message = ''
  await assert.rejects(call, (error: Error & { $metadata?: { httpStatusCode?: number } }) => {
    assert.deepEqual(
      [codeOf(error), error.$metadata?.httpStatusCode],
      [code, status],
      error.message,
    )
    message = error.message
    return true
  })
  return message
}

/** The SDK calls some by its own names. */
function codeOf(error: Error & { Code?: string; Error?: { Code?: string } }): string {
  return error.Code ?? error.Error?.Code ?? error.name
}
