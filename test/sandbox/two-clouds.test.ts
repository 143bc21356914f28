// What npm start -- --other-cloud prints: commands that a shell takes as they are.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { exec } from '../../common/exec.ts'
import { OTHER_PLAN, SANDBOX_PLAN } from '../../sandbox/plan.ts'
import { defaultNetworkOf, peeringLines, type UserSide } from '../../sandbox/two-clouds.ts'

const MAIN = join(import.meta.dirname, '../../sandbox/main.ts')

function side(n: number): UserSide {
  return {
    ...{ account: String(n).repeat(12), region: `there-${n}`, vpc: `vpc-${n}` },
    ...{ ipv6Cidr: `fd0${n}::/56`, table: `rtb-${n}`, group: `sg-${n}` },
    instance: { id: `i-${n}`, ipv6: `fd0${n}::4` },
    ...{ gatewayHost: `gateway-${n}`, instanceHost: `host-${n}` },
    shell: [`export AWS_ACCESS_KEY_ID=KEY${n}`],
  }
}

/** Runs the users' commands with an `aws` that says what it is asked. */
async function asked(lines: readonly string[]): Promise<string[]> {
  const commands = lines.filter(
    (line) => line.startsWith('  ') && !/enter --|UNIX:|ping6/.test(line),
  )
  const aws = 'aws() { echo "$*" >&2; echo answer; }'
  const { stderr } = await exec(['bash', '--norc', '-euc', [aws, ...commands].join('\n')])
  return stderr.trim().split('\n')
}

test('the printed commands of both users say who asks whom for what', async () => {
  assert.deepEqual(await asked(peeringLines('west', side(1), side(2))), [
    'ec2 create-vpc-peering-connection --vpc-id vpc-1 --peer-region there-2 --peer-owner-id ' +
      '222222222222 --peer-vpc-id vpc-2 --output text ' +
      '--query VpcPeeringConnection.VpcPeeringConnectionId',
    'ec2 accept-vpc-peering-connection --vpc-peering-connection-id answer',
    ...[
      { own: 1, other: 2, info: 'AccepterVpcInfo' },
      { own: 2, other: 1, info: 'RequesterVpcInfo' },
    ].flatMap(({ own, other, info }) => [
      'ec2 describe-vpc-peering-connections --output text --vpc-peering-connection-ids answer ' +
        `--query VpcPeeringConnections[0].${info}.CidrBlock`,
      `ec2 create-route --route-table-id rtb-${own} --destination-cidr-block answer ` +
        '--vpc-peering-connection-id answer',
      `ec2 create-route --route-table-id rtb-${own} --destination-ipv6-cidr-block ` +
        `fd0${other}::/56 --vpc-peering-connection-id answer`,
      `ec2 authorize-security-group-ingress --group-id sg-${own} --ip-permissions ` +
        `IpProtocol=-1,IpRanges=[{CidrIp=answer}],Ipv6Ranges=[{CidrIpv6=fd0${other}::/56}]`,
    ]),
    'ec2 delete-vpc-peering-connection --vpc-peering-connection-id answer',
  ])
})

test('the operators invite and accept on the hosts of their gateways', () => {
  const text = peeringLines('west', side(1), side(2)).join('\n')
  assert.match(text, /enter -- gateway-1 mallee peer invite west\n/)
  assert.match(text, /enter -- gateway-2 mallee peer accept 'INVITATION'\n/)
})

test('the default VPC is found with its main route table and its default group', async () => {
  const answers: Record<string, unknown> = {
    'describe-vpcs': {
      Vpcs: [{ VpcId: 'vpc-1', Ipv6CidrBlockAssociationSet: [{ Ipv6CidrBlock: 'fd01::/56' }] }],
    },
    'describe-route-tables': { RouteTables: [{ RouteTableId: 'rtb-1' }] },
    'describe-security-groups': { SecurityGroups: [{ GroupId: 'sg-1' }] },
  }
  const found = await defaultNetworkOf(async ([, action = '']) => answers[action])
  assert.deepEqual(found, { vpc: 'vpc-1', ipv6Cidr: 'fd01::/56', table: 'rtb-1', group: 'sg-1' })
})

test('the other cloud has no site, host or region of the first one', () => {
  const hosts = (racks: typeof SANDBOX_PLAN.racks): string[] =>
    racks.flatMap((rack) => rack.hosts.map(({ name }) => name))
  const own = new Set(hosts(SANDBOX_PLAN.racks))
  assert.ok(hosts(OTHER_PLAN.racks).every((name) => !own.has(name)))
  assert.notEqual(OTHER_PLAN.region, SANDBOX_PLAN.region)
  assert.ok(OTHER_PLAN.site > SANDBOX_PLAN.racks.length)
})

test('--help says what there is, and a flag that is none is refused', async () => {
  const help = await exec([process.execPath, MAIN, '--help'])
  assert.match(help.stdout, /^Usage: npm start \[-- --other-cloud\]\n/)
  const wrong = await exec([process.execPath, MAIN, '--nonsense'], { okCodes: [2] })
  assert.match(wrong.stderr, /^mallee: there is no --nonsense\nUsage: /)
})
