// A network load balancer with a target in each rack, by the official API: what the internet and a
// guest get through it, and what becomes of it when a target falls ill.

import assert from 'node:assert/strict'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { at, fetchInGuest, fetchOutside, type Guest, inGuest, PAGE, type Tenant } from './tenant.ts'

export interface BalancerTest {
  readonly vpc: string
  /** The web tier and the spare, in two racks. */
  readonly targets: readonly [Guest, Guest]
  /** Somebody else in the VPC. */
  readonly client: Guest
}

/** What the pages of the targets say. */
const WORDS = ['the-web-tier', 'the-spare'] as const
/** Round robin: both targets are among so many answers. */
const FETCHES = 6
/** Where nodes can be. */
const NODE_HOSTS = ['a2', 'a3', 'b1']
const SOON = { timeoutMs: 60_000, everyMs: 250 }
/** EC2's shortest, and the fewest that it takes. */
const CHECK =
  `--health-check-protocol HTTP --health-check-path ${PAGE} --health-check-interval-seconds 5 ` +
  '--health-check-timeout-seconds 2 --healthy-threshold-count 2 --unhealthy-threshold-count 2'

/** Leaves both targets serving and nothing of its own behind. */
export async function assertBalancer(
  world: World,
  tenant: Tenant,
  { vpc, targets, client }: BalancerTest,
): Promise<void> {
  const elb = (line: string) => tenant.aws(['elbv2', ...line.split(' ')])
  const [first] = targets
  const address = await tenant.ask('allocate-address --domain vpc')
  const [publicIp, allocation] = [at(address, 'PublicIp'), at(address, 'AllocationId')]
  const subnets = await Promise.all(
    targets.map(({ eni }) =>
      tenant.ec2(
        `describe-network-interfaces --network-interface-ids ${eni}`,
        'NetworkInterfaces.0.SubnetId',
      ),
    ),
  )
  const made = await elb(
    `create-target-group --name pages --protocol TCP --port 80 --vpc-id ${vpc} ${CHECK}`,
  )
  const group = at(made, 'TargetGroups.0.TargetGroupArn')
  const registered = targets.map(({ id }) => `Id=${id}`).join(' ')
  await elb(`register-targets --target-group-arn ${group} --targets ${registered}`)
  const [one = '', two = ''] = subnets
  const balancer = await elb(
    `create-load-balancer --type network --name pages --subnet-mappings SubnetId=${one},AllocationId=${allocation} SubnetId=${two}`,
  )
  const arn = at(balancer, 'LoadBalancers.0.LoadBalancerArn')
  const name = at(balancer, 'LoadBalancers.0.DNSName')
  await elb(
    `modify-load-balancer-attributes --load-balancer-arn ${arn} --attributes Key=load_balancing.cross_zone.enabled,Value=true`,
  )
  const forward = `Type=forward,TargetGroupArn=${group}`
  await elb(
    `create-listener --load-balancer-arn ${arn} --protocol TCP --port 80 --default-actions ${forward}`,
  )
  const health = async (): Promise<Record<string, string>> => {
    const { TargetHealthDescriptions: all } = (await elb(
      `describe-target-health --target-group-arn ${group}`,
    )) as {
      TargetHealthDescriptions: { Target: { Id: string }; TargetHealth: { State: string } }[]
    }
    return Object.fromEntries(all.map((each) => [each.Target.Id, each.TargetHealth.State]))
  }
  const areHealthy = async () => {
    const states = await health()
    return targets.every(({ id }) => states[id] === 'healthy')
  }
  await until('both targets are healthy', areHealthy, SOON)
  const isActive = async () => {
    const seen = await elb(`describe-load-balancers --load-balancer-arns ${arn}`)
    return at(seen, 'LoadBalancers.0.State.Code') === 'active'
  }
  await until('the load balancer is active', isActive, SOON)

  const said = async (fetch: () => Promise<string>): Promise<string[]> => {
    const pages = await Promise.all(Array.from({ length: FETCHES }, fetch))
    return WORDS.filter((word) => pages.some((page) => page.includes(word)))
  }
  const outside = () => fetchOutside(world, publicIp)
  const reached = async () => (await outside()) !== ''
  await until(`http://${publicIp}/ answers outside`, reached, SOON)
  assert.deepEqual(await said(outside), WORDS)
  // A guest has one console: one after the other.
  const inside = [await fetchInGuest(world, client, name), await fetchInGuest(world, client, name)]
  for (const page of inside)
    assert.ok(
      WORDS.some((word) => page.includes(word)),
      page,
    )

  await inGuest(world, first, 'killall httpd')
  await until(
    `the cloud says that ${first.id} is unhealthy`,
    async () => (await health())[first.id] === 'unhealthy',
    SOON,
  )
  assert.deepEqual(await said(outside), [WORDS[1]])
  assert.ok((await fetchInGuest(world, client, name)).includes(WORDS[1]))
  await inGuest(world, first, 'httpd -h /www -p 80')

  await elb(`delete-load-balancer --load-balancer-arn ${arn}`)
  await elb(`delete-target-group --target-group-arn ${group}`)
  const gone = async () => (await outside()) === ''
  await until(`nobody answers at ${publicIp}`, gone, SOON)
  const nodes = async () => {
    const lists = await Promise.all(
      NODE_HOSTS.map((host) => world.host(host).exec(['ip', 'netns', 'list'])),
    )
    return lists.some(({ stdout }) => stdout.includes('mallee-lb-'))
  }
  await until('its nodes are gone', async () => !(await nodes()), SOON)
  await tenant.ask(`release-address --allocation-id ${allocation}`)
}
