// A network load balancer over two simulated racks through boto3: what Terraform's aws_lb,
// aws_lb_target_group, aws_lb_listener and aws_lb_target_group_attachment ask from create to
// destroy, a host that goes, and a gateway that starts again.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DescribeNetworkInterfacesCommand, DescribeSubnetsCommand } from '@aws-sdk/client-ec2'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addTwoRacks } from '../support/simulated-rack.ts'
import { keeps, makeImage, reach, run } from './support.ts'

const PYTHON = '/usr/bin/python3'
const SCRIPT_MS = 60_000
/** Each phase is a function; it prints what the test looks at. */
const SCRIPT = `
import boto3, botocore.config, json, sys, time
wish = json.load(sys.stdin)
config = botocore.config.Config(retries={'max_attempts': 0})
access = {'aws_access_key_id': wish['key'], 'aws_secret_access_key': wish['secret']}
options = {'endpoint_url': wish['url'], 'region_name': 'mallee-1', 'config': config, **access}
elb = boto3.client('elbv2', **options)
group = lambda: elb.describe_target_groups(Names=['web'])['TargetGroups'][0]['TargetGroupArn']
balancer = lambda: elb.describe_load_balancers(Names=['web'])['LoadBalancers'][0]

def until(what, check):
    for _ in range(300):
        found = check()
        if found: return found
        time.sleep(0.1)
    sys.exit('never: %s' % what)

def health():
    found = elb.describe_target_health(TargetGroupArn=group())['TargetHealthDescriptions']
    return {one['Target']['Id']: one['TargetHealth']['State'] for one in found}

def attributes(arn):
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)['Attributes']
    return {one['Key']: one['Value'] for one in found}

def refresh():
    arn = balancer()['LoadBalancerArn']
    elb.describe_tags(ResourceArns=[arn])
    elb.describe_target_group_attributes(TargetGroupArn=group())
    elb.describe_tags(ResourceArns=[group()])
    found = elb.describe_listeners(LoadBalancerArn=arn)['Listeners']
    for one in found: elb.describe_tags(ResourceArns=[one['ListenerArn']])
    return attributes(arn)

def active():
    return until('active', lambda: balancer()['State']['Code'] == 'active' and balancer())

def create():
    made = elb.create_load_balancer(Name='web', Type='network', Scheme='internal',
        Subnets=wish['subnets'], IpAddressType='ipv4', Tags=[{'Key': 'Name', 'Value': 'web'}])
    arn = made['LoadBalancers'][0]['LoadBalancerArn']
    elb.get_waiter('load_balancer_available').wait(LoadBalancerArns=[arn],
        WaiterConfig={'Delay': 1, 'MaxAttempts': 30})
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[
        {'Key': 'deletion_protection.enabled', 'Value': 'false'},
        {'Key': 'dns_record.client_routing_policy', 'Value': 'any_availability_zone'},
        {'Key': 'load_balancing.cross_zone.enabled', 'Value': 'true'}])
    made = elb.create_target_group(Name='web', Protocol='TCP', Port=80, VpcId=wish['vpc'],
        TargetType='instance', HealthCheckEnabled=True, HealthCheckProtocol='TCP',
        HealthCheckPort='traffic-port', HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=10, HealthyThresholdCount=3, UnhealthyThresholdCount=3)
    target = made['TargetGroups'][0]['TargetGroupArn']
    elb.modify_target_group_attributes(TargetGroupArn=target, Attributes=[
        {'Key': 'deregistration_delay.timeout_seconds', 'Value': '1'},
        {'Key': 'proxy_protocol_v2.enabled', 'Value': 'false'},
        {'Key': 'preserve_client_ip.enabled', 'Value': 'false'}])
    elb.create_listener(LoadBalancerArn=arn, Protocol='TCP', Port=80,
        DefaultActions=[{'Type': 'forward', 'TargetGroupArn': target}])
    for id in wish['instances']:
        elb.register_targets(TargetGroupArn=target, Targets=[{'Id': id}])
    until('healthy', lambda: set(health().values()) == {'healthy'})
    refresh()
    return balancer()

def update():
    elb.modify_target_group(TargetGroupArn=group(), HealthCheckProtocol='HTTP',
        HealthCheckPath='/up', HealthCheckTimeoutSeconds=6)
    elb.set_subnets(LoadBalancerArn=balancer()['LoadBalancerArn'], Subnets=wish['subnets'][:1])
    active()
    refresh()
    elb.set_subnets(LoadBalancerArn=balancer()['LoadBalancerArn'], Subnets=wish['subnets'])
    return active()

def drain():
    elb.deregister_targets(TargetGroupArn=group(), Targets=[{'Id': wish['instances'][0]}])
    elb.get_waiter('target_deregistered').wait(TargetGroupArn=group(),
        Targets=[{'Id': wish['instances'][0]}], WaiterConfig={'Delay': 1, 'MaxAttempts': 60})
    return health()

def destroy():
    arn, target = balancer()['LoadBalancerArn'], group()
    listener = elb.describe_listeners(LoadBalancerArn=arn)['Listeners'][0]['ListenerArn']
    elb.delete_listener(ListenerArn=listener)
    elb.delete_target_group(TargetGroupArn=target)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter('load_balancers_deleted').wait(LoadBalancerArns=[arn],
        WaiterConfig={'Delay': 1, 'MaxAttempts': 30})
    return elb.describe_load_balancers()['LoadBalancers']

print(json.dumps(globals()[wish['phase']](), default=str))
`

const end = lastFirst({ after })
const cloud = await startCloud(end)
const { cc, node, other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const ImageId = await makeImage(cloud, ec2)
const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand())
const [first] = Subnets
const subnets = Subnets.map(({ SubnetId = '' }) => SubnetId)
const runs = await Promise.all(subnets.map((SubnetId) => run(ec2, { ImageId, SubnetId })))
const instances = runs.flat().map(({ InstanceId = '' }) => InstanceId)
await reach(ec2, instances, 'running')

async function phase(name: string): Promise<unknown> {
  const { accessKeyId: key, secretAccessKey: secret } = cloud.init
  const { stdout } = await exec([PYTHON, '-c', SCRIPT], {
    input: JSON.stringify({
      ...{ phase: name, key, secret, subnets, instances, vpc: first?.VpcId },
      url: `http://127.0.0.1:${cloud.config.apiPort}`,
    }),
    env: { HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' },
    timeoutMs: SCRIPT_MS,
  })
  return JSON.parse(stdout)
}

interface Shown {
  readonly DNSName: string
  readonly AvailabilityZones: readonly object[]
}

test('it is active and its targets are well when the hosts say so', async () => {
  const { DNSName, AvailabilityZones } = (await phase('create')) as Shown
  assert.equal(AvailabilityZones.length, 2)
  for (const host of [cc, other]) assert.ok(keeps(host, `name/${DNSName}`), host.name)
})

test('a change of health checks and of subnets is made true', async () => {
  const { AvailabilityZones } = (await phase('update')) as Shown
  assert.equal(AvailabilityZones.length, 2)
})

test('a node leaves a host that is cordoned, while a gateway starts again', async () => {
  const Filters = [
    { Name: 'interface-type', Values: ['network_load_balancer'] },
    { Name: 'availability-zone', Values: ['mallee-1-a'] },
  ]
  const shown = await ec2.send(new DescribeNetworkInterfacesCommand({ Filters }))
  const [card] = shown.NetworkInterfaces ?? []
  const key = `balancer/${card?.NetworkInterfaceId}`
  // A CC holds its rack's; a node what is its own.
  const isOnNode = keeps(node, key)
  const from = isOnNode ? node : cc
  const path = `/v1/racks/a/hosts/${from.name}/cordon`
  await cloud.local({ method: 'POST', path })
  await cloud.stop()
  await cloud.start()
  await until('another host has it', async () => keeps(node, key) !== isOnNode)
  await phase('active')
})

test('a target drains and goes, and with the load balancer goes everything', async () => {
  assert.deepEqual(await phase('drain'), { [instances[1] ?? '']: 'healthy' })
  assert.deepEqual(await phase('destroy'), [])
})
