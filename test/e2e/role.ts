// An instance that acts as a role: the credentials that its metadata service gives it.

import assert from 'node:assert/strict'
import { awsCli } from '../../sandbox/aws.ts'
import type { GuestShell } from '../../sandbox/guest.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'

const NAME = 'reader'
const METADATA = '169.254.169.254'
const TRUST = statement({ Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' })
const READS = statement({ Action: 'ec2:DescribeInstances', Resource: '*' })

interface GivenCredentials {
  readonly Code: string
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
  readonly Token: string
}

/** Gives a running instance an instance profile whose role may read instances. */
export async function giveRole({ aws }: World, instance: string): Promise<void> {
  const iam = (line: string, ...more: string[]): Promise<unknown> =>
    aws(['iam', ...line.split(' '), ...more])
  await iam(`create-role --role-name ${NAME} --assume-role-policy-document`, TRUST)
  await iam(`put-role-policy --role-name ${NAME} --policy-name reads --policy-document`, READS)
  await iam(`create-instance-profile --instance-profile-name ${NAME}`)
  await iam(`add-role-to-instance-profile --instance-profile-name ${NAME} --role-name ${NAME}`)
  const profile = ['--instance-id', instance, '--iam-instance-profile', `Name=${NAME}`]
  await aws(['ec2', 'associate-iam-instance-profile', ...profile])
}

/** Who the instance is for the API, and what the API lets it do. */
export async function actAsGuest(
  world: World,
  shell: GuestShell,
): Promise<{ readonly arn: string; readonly seen: unknown; readonly refused: string }> {
  const path = `/latest/meta-data/iam/security-credentials/${NAME}`
  let given: GivenCredentials | null = null
  const isGiven = async (): Promise<boolean> => {
    given = parsed(await fromMetadata(shell, path))
    return given !== null
  }
  await until('the guest has credentials', isGiven, { timeoutMs: 60_000, everyMs: 500 })
  assert.ok(given !== null)
  const { AccessKeyId, SecretAccessKey, Token } = given as GivenCredentials
  const keys = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token }
  const aws = awsCli({ ...world.target, credentials: { ...world.target.credentials, ...keys } })
  const { Arn: arn } = (await aws(['sts', 'get-caller-identity'])) as { Arn: string }
  const seen = await aws(['ec2', 'describe-instances'])
  const refused = await aws(['ec2', 'describe-vpcs']).then(
    () => 'accepted',
    (error: Error) => /\((\w+)\)/.exec(error.message)?.[1] ?? error.message,
  )
  return { arn, seen, refused }
}

function parsed(text: string): GivenCredentials | null {
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)
  if (json === '') return null
  const given = JSON.parse(json) as GivenCredentials
  return given.Code === 'Success' ? given : null
}

/** By IMDSv2, with the guest's nc: its wget sends no PUT. */
async function fromMetadata(shell: GuestShell, path: string): Promise<string> {
  const seconds = 'X-aws-ec2-metadata-token-ttl-seconds: 60'
  const put = `PUT /latest/api/token HTTP/1.0\\r\\nHost: ${METADATA}\\r\\n${seconds}\\r\\n\\r\\n`
  const get = `GET ${path} HTTP/1.0\\r\\nHost: ${METADATA}\\r\\nX-aws-ec2-metadata-token: %s\\r\\n\\r\\n`
  const ask = `nc -w 5 ${METADATA} 80`
  const token = `$(printf '${put}' | ${ask} | tail -n 1)`
  // The answer ends without a newline.
  return (await shell.run(`printf '${get}' "${token}" | ${ask}; echo`)).output
}

function statement(said: object): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...said }] })
}
