// Roles, who may assume them, and the credentials that STS gives.

import assert from 'node:assert/strict'
import type { Credentials as Given } from '@aws-sdk/client-sts'
import { type Credentials, newUser, policyDocument, type World } from '../iam/world.ts'

export const RoleSessionName = 'one'

/** A user whose own policy lets it assume every role. */
export async function mayAssume(world: World, UserName: string): Promise<Credentials> {
  const keys = await newUser(world, UserName)
  const PolicyDocument = policyDocument('sts:*')
  await world.iam().putUserPolicy({ UserName, PolicyName: 'sts', PolicyDocument })
  return keys
}

export async function newRole(
  world: World,
  AssumeRolePolicyDocument: string,
  RoleName = 'web',
): Promise<{ Arn: string; RoleId: string }> {
  const iam = world.iam()
  const request = { RoleName, AssumeRolePolicyDocument, MaxSessionDuration: 7200 }
  const { Role } = await iam.createRole(request)
  const PolicyDocument = policyDocument('*')
  if (RoleName !== 'web') await iam.putRolePolicy({ RoleName, PolicyName: 'p', PolicyDocument })
  return { Arn: Role?.Arn ?? '', RoleId: Role?.RoleId ?? '' }
}

export function trust(actions: readonly string[], account: string): string {
  const statement = { Effect: 'Allow', Action: actions, Principal: { AWS: account } }
  return JSON.stringify({ Version: '2012-10-17', Statement: statement })
}

export function usable(given: Given | undefined): Credentials {
  const { AccessKeyId, SecretAccessKey, SessionToken } = given ?? {}
  assert.ok(AccessKeyId && SecretAccessKey && SessionToken)
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
  }
}
