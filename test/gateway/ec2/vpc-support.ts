// A cloud in which the account has a dual stack VPC of its own.

import type { TestContext } from 'node:test'
import { type Cloud, openCloud } from './support.ts'

/** 172.16.0.0/16, and of its IPv6 block the first /64. */
export async function openVpc(
  t: TestContext,
  racks: readonly string[] = ['a', 'b'],
): Promise<{ cloud: Cloud; VpcId: string; ipv6: string }> {
  const cloud = await openCloud(t, { racks })
  const { Vpc } = await cloud.call('CreateVpc', {
    CidrBlock: '172.16.0.0/16',
    AmazonProvidedIpv6CidrBlock: true,
  })
  const ipv6 = Vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? ''
  return { cloud, VpcId: Vpc?.VpcId ?? '', ipv6: ipv6.replace('/56', '/64') }
}
