// A cloud with a group of its own, and rules to put in it.

import type { IpPermission } from '@aws-sdk/client-ec2'
import { type Cloud, openCloud } from './support.ts'

export const ranges = (...cidrs: readonly string[]): { CidrIp: string }[] =>
  cidrs.map((CidrIp) => ({ CidrIp }))

export const tcp = (FromPort: number, ToPort: number): IpPermission => ({
  IpProtocol: 'tcp',
  FromPort,
  ToPort,
  IpRanges: ranges('10.0.0.0/8'),
})

/** The group is called `web` and is in the default VPC. */
export async function cloudWithGroup(
  t: Parameters<typeof openCloud>[0],
): Promise<{ cloud: Cloud; GroupId: string }> {
  const cloud = await openCloud(t)
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description: 'for a test',
  })
  return { cloud, GroupId }
}
