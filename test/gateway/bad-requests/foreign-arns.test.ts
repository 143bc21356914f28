// Load balancing of two accounts: every action that is done, called by the second account with an
// ARN or an id of the first's in every member that holds some, one at a time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModel, type Member, type Ref } from '../../../gateway/aws/model.ts'
import { loadBalancingHandlers } from '../../../gateway/elb/index.ts'
import type { BalancingParts } from '../../../gateway/elb/parts.ts'
import { call } from '../http/sign.ts'
import { type Ground, OTHER_ZONE, openGround } from './ground.ts'
import { recordsOf } from './records.ts'
import { formOf } from './send.ts'

const MODEL = loadModel('elasticloadbalancing')
const DONE = Object.keys(loadBalancingHandlers({} as BalancingParts)).sort()

/** Members that name things of an account → the thing of a ground. */
const NAMED = {
  LoadBalancerArn: 'balancer',
  LoadBalancerArns: 'balancer',
  TargetGroupArn: 'targetGroup',
  TargetGroupArns: 'targetGroup',
  ListenerArn: 'listener',
  ListenerArns: 'listener',
  ResourceArns: 'targetGroup',
  VpcId: 'vpc',
  Subnets: 'subnet',
  SubnetId: 'subnet',
  SecurityGroups: 'group',
  AllocationId: 'address',
  Id: 'running',
} as const satisfies Readonly<Record<string, keyof Ground>>
type Name = keyof typeof NAMED

/** ARNs and ids of other kinds of things: their members are refused whatever is in them. */
const OTHERS =
  /^(?:CertificateArn|TrustStoreArn|UserPoolArn|QuicServerId|.*Client\w*Id|Ipv4IpamPoolId)$/
/** As with AWS, ending what is not there is no error. */
const QUIET = new Set(['DeleteLoadBalancer', 'DeleteTargetGroup'])
const NOT_FOUND = /NotFound$|^InvalidTarget$|^InvalidSecurityGroup$/

const CROSS_ZONE = { Key: 'load_balancing.cross_zone.enabled', Value: 'false' }
const USUAL_ATTRIBUTES: Readonly<Record<string, object>> = {
  ModifyListenerAttributes: { Key: 'tcp.idle_timeout.seconds', Value: '350' },
  ModifyLoadBalancerAttributes: CROSS_ZONE,
  ModifyTargetGroupAttributes: CROSS_ZONE,
}

interface Own {
  readonly balancer: string
  readonly targetGroup: string
  readonly listener: string
  readonly subnet: string
  /** In the other zone. */
  readonly far: string
  readonly vpc: string
}

test('no ARN or id of one account means anything to another', async (t) => {
  const ground = await openGround(t)
  const own = await otherBalancing(ground)
  const { endpoint, other, state } = ground.world
  const keys = { accessKeyId: other.accessKeyId, secret: other.secretAccessKey }
  const ask = async (action: string, input: object): Promise<string> => {
    const body = `Action=${action}&Version=${MODEL.version}&${formOf(MODEL, action, input)}`
    const answer = await call(endpoint.port, { ...keys, service: 'elasticloadbalancing', body })
    return await answer.text()
  }
  const before = recordsOf(state)
  const cases = DONE.flatMap((action) =>
    namesIn(MODEL.ops[action]?.i).map((path) => ({ action, path })),
  )
  assert.ok(cases.length > 30, `${cases.length}`)
  for (const { action, path } of cases) {
    await t.test(`${action} does not find another's ${path.join('.')}`, async () => {
      const name = path.at(-1) as Name
      const xml = await ask(action, inputOf(ground, own, action, path, ground[NAMED[name]]))
      if (QUIET.has(action)) return
      const [, code = ''] = /<Code>([^<]*)</.exec(xml) ?? []
      const isVpc = name === 'VpcId' && code === 'ValidationError'
      assert.ok(isVpc || NOT_FOUND.test(code) || isStranger(action, name, xml), xml)
    })
  }
  for (const action of DONE.filter((one) => /^Describe/.test(one))) {
    await t.test(`${action} shows nothing of another`, async () => {
      const xml = await ask(action, {})
      for (const thing of ['balancer', 'targetGroup', 'listener'] as const) {
        assert.ok(!xml.includes(ground[thing]), xml)
      }
    })
  }
  await t.test('all is as it was before', () => {
    const after = new Set(recordsOf(state))
    assert.deepEqual(
      before.filter((line) => !after.has(line)),
      [],
    )
  })
})

/** Who asks for the health of a target that is none is told so; to end one that is none is well. */
function isStranger(action: string, name: Name, xml: string): boolean {
  if (name !== 'Id') return false
  return action === 'DeregisterTargets' || xml.includes('<Reason>Target.NotRegistered</Reason>')
}

/** The second account's own, for the rest of each request. */
async function otherBalancing({ world }: Ground): Promise<Own> {
  const [ec2, elb] = [world.ec2(world.other), world.elb(world.other)]
  const { Vpc } = await ec2.createVpc({ CidrBlock: '10.90.0.0/16' })
  const VpcId = Vpc?.VpcId ?? ''
  const { Subnet } = await ec2.createSubnet({ VpcId, CidrBlock: '10.90.1.0/24' })
  const subnet = Subnet?.SubnetId ?? ''
  const inB = { VpcId, CidrBlock: '10.90.2.0/24', AvailabilityZone: OTHER_ZONE }
  const far = (await ec2.createSubnet(inB)).Subnet?.SubnetId ?? ''
  const { InternetGateway } = await ec2.createInternetGateway({})
  const InternetGatewayId = InternetGateway?.InternetGatewayId ?? ''
  await ec2.attachInternetGateway({ InternetGatewayId, VpcId })
  const { GroupId = '' } = await ec2.createSecurityGroup({
    ...{ VpcId, GroupName: 'lb', Description: 'lb' },
  })
  const made = await elb.createLoadBalancer({
    ...{ Name: 'mine', Type: 'network', Subnets: [subnet], SecurityGroups: [GroupId] },
  })
  const LoadBalancerArn = made.LoadBalancers?.[0]?.LoadBalancerArn ?? ''
  const wish = { Name: 'mine', Protocol: 'TCP', Port: 80, VpcId } as const
  const { TargetGroups } = await elb.createTargetGroup(wish)
  const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn ?? ''
  const { Listeners } = await elb.createListener({
    ...{ LoadBalancerArn, Protocol: 'TCP', Port: 80 },
    DefaultActions: [{ Type: 'forward', TargetGroupArn }],
  })
  const listener = Listeners?.[0]?.ListenerArn ?? ''
  const arns = { balancer: LoadBalancerArn, targetGroup: TargetGroupArn, listener }
  return { ...arns, subnet, far, vpc: VpcId }
}

function inputOf(
  ground: Ground,
  { balancer, targetGroup, listener, subnet, far, vpc }: Own,
  action: string,
  path: readonly string[],
  theirs: string,
): object {
  const usual: Readonly<Record<string, object>> = {
    AddTags: { Tags: [{ Key: 'a', Value: 'b' }] },
    CreateListener: {
      ...{ LoadBalancerArn: balancer, Protocol: 'TCP', Port: 81 },
      DefaultActions: [{ Type: 'forward', TargetGroupArn: targetGroup }],
    },
    CreateLoadBalancer: { Name: 'new', Type: 'network', Subnets: [subnet] },
    CreateTargetGroup: { Name: 'new', Protocol: 'TCP', Port: 80, VpcId: vpc },
    DeregisterTargets: { TargetGroupArn: targetGroup, Targets: [{ Id: ground.running }] },
    DescribeTargetHealth: { TargetGroupArn: targetGroup },
    ModifyListener: { ListenerArn: listener },
    RegisterTargets: { TargetGroupArn: targetGroup, Targets: [{ Id: ground.running }] },
    RemoveTags: { TagKeys: ['a'] },
    SetIpAddressType: { IpAddressType: 'ipv4' },
    SetSecurityGroups: { LoadBalancerArn: balancer, SecurityGroups: [ground.group] },
    SetSubnets: { LoadBalancerArn: balancer, Subnets: [subnet] },
  }
  const rest: Record<string, unknown> = { ...usual[action] }
  const attribute = USUAL_ATTRIBUTES[action]
  if (attribute !== undefined) rest['Attributes'] = [attribute]
  if (path[0] === 'SubnetMappings') {
    delete rest['Subnets']
    const isSubnet = path[1] === 'SubnetId'
    return {
      ...rest,
      SubnetMappings: [
        { SubnetId: isSubnet ? theirs : far, ...(!isSubnet && { AllocationId: theirs }) },
      ],
    }
  }
  return { ...rest, ...nested(MODEL.ops[action]?.i, path, theirs) }
}

function nested(
  ref: Ref | undefined,
  [name = '', ...more]: readonly string[],
  value: string,
): object {
  const member = membersOf(ref).find(({ n }) => n === name)
  const isList = typeof member?.r === 'number' && MODEL.shapes[member.r]?.[0] === 'l'
  const isAction = name === 'DefaultActions'
  const inner = more.length === 0 ? value : nested(member?.r, more, value)
  const typed = isAction ? { Type: 'forward', ...(inner as object) } : inner
  return { [name]: isList ? [typed] : typed }
}

/** Paths of members that hold ARNs or ids of things. */
function namesIn(ref: Ref | undefined, path: readonly string[] = []): string[][] {
  return membersOf(ref).flatMap(({ n, r }) => {
    const here = [...path, n]
    if (OTHERS.test(n) || here.length > 4) return []
    if (n in NAMED && isText(r)) return [here]
    if (isText(r)) {
      assert.ok(!/(?:Arns?|Ids?)$/.test(n) || n === 'RuleArns', `${here.join('.')} is known`)
      return []
    }
    return namesIn(r, here)
  })
}

function membersOf(ref: Ref | undefined): readonly Member[] {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  if (shape?.[0] === 'l') return membersOf(shape[2])
  return shape?.[0] === 'o' ? shape[2] : []
}

function isText(ref: Ref): boolean {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  return ref === 's' || (shape?.[0] === 'l' && isText(shape[2]))
}
