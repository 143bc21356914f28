// A cloud behind its endpoint, and the clients that call it there: the aws CLI, the JavaScript SDK.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { EC2 } from '@aws-sdk/client-ec2'
import { randomHex } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { ec2Handlers } from '../../../gateway/ec2/index.ts'
import { stsHandlers } from '../../../gateway/sts/index.ts'
import { testSealer } from '../../support/sealer.ts'
import { type Endpoint, KEY, startEndpoint } from '../http/support.ts'
import { ACCOUNT, type Cloud, DIGEST, openCloud, REGION } from './support.ts'

export async function listening(t: TestContext): Promise<[Cloud, Endpoint]> {
  const cloud = await openCloud(t)
  const sealer = await testSealer(t)
  const endpoint = await startEndpoint(t, {
    ec2: ec2Handlers({
      state: cloud.state,
      randomHex,
      sealer,
      region: REGION,
      endpoint: 'cloud.example:8773',
      consoleOutput: async () => ({ payload: Buffer.from('booted\n'), atMs: 0 }),
    }),
    sts: stsHandlers({ state: cloud.state, sealer, randomHex }),
    secretOf: async (id) => ({
      secret: KEY.secretAccessKey,
      caller: {
        account: ACCOUNT,
        userArn: `arn:aws:iam::${ACCOUNT}:root`,
        userId: ACCOUNT,
        accessKeyId: id,
      },
    }),
  })
  return [cloud, endpoint]
}

type Aws = (...argv: readonly string[]) => Promise<string>

/** An SDK's client that tries once. */
export function sdkClient(t: TestContext, { url: endpoint }: Endpoint): EC2 {
  const ec2 = new EC2({ endpoint, region: REGION, credentials: KEY, maxAttempts: 1 })
  t.after(() => ec2.destroy())
  return ec2
}

/** The aws CLI in a cloud of its own that has an image. */
export async function awsWithImage(
  t: TestContext,
): Promise<{ readonly cloud: Cloud; readonly aws: Aws; readonly image: string }> {
  const [cloud, endpoint] = await listening(t)
  const aws = awsCli(t, endpoint)
  const image = await aws(
    ...['register-image', '--name', 'debian', '--image-location', `sha256:${DIGEST}`],
    ...['--query', 'ImageId'],
  )
  return { cloud, aws, image }
}

/** `aws ec2` with these arguments; what it prints, as text. */
export function awsCli(t: TestContext, endpoint: Endpoint): Aws {
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  return async (...argv) => {
    const { stdout } = await exec(
      ['/usr/bin/aws', '--endpoint-url', endpoint.url, '--output', 'text', 'ec2', ...argv],
      {
        env: {
          HOME: home,
          AWS_ACCESS_KEY_ID: KEY.accessKeyId,
          AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
          AWS_DEFAULT_REGION: REGION,
          AWS_EC2_METADATA_DISABLED: 'true',
        },
        timeoutMs: 60_000,
      },
    )
    return stdout.trim()
  }
}
