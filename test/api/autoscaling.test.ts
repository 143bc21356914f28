// An Auto Scaling group over two racks through boto3: what Terraform's aws_autoscaling_group asks
// from create to destroy, an instance that is terminated, and a gateway that starts again.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  CreateLaunchTemplateCommand,
  DescribeAvailabilityZonesCommand,
  DescribeSubnetsCommand,
} from '@aws-sdk/client-ec2'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addTwoRacks } from '../support/simulated-rack.ts'
import { makeImage } from './support.ts'

const PYTHON = '/usr/bin/python3'
const SCRIPT_MS = 90_000
/** Each phase is a function; it prints what the test looks at. */
const SCRIPT = `
import boto3, botocore.config, json, sys, time
wish = json.load(sys.stdin)
config = botocore.config.Config(retries={'max_attempts': 0})
access = {'aws_access_key_id': wish['key'], 'aws_secret_access_key': wish['secret']}
options = {'endpoint_url': wish['url'], 'region_name': 'mallee-1', 'config': config, **access}
asg, ec2 = boto3.client('autoscaling', **options), boto3.client('ec2', **options)
NAME = 'web'

def group():
    found = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])['AutoScalingGroups']
    return found[0] if found else None

def members(state='InService'):
    return [one for one in group()['Instances'] if one['LifecycleState'] == state]

def until(what, check):
    for _ in range(600):
        found = check()
        if found: return found
        time.sleep(0.1)
    sys.exit('never: %s: %s' % (what, json.dumps(group(), default=str)))

def capacity(count):
    until('capacity %d' % count, lambda: len(members()) == len(group()['Instances']) == count)
    asg.describe_scaling_activities(AutoScalingGroupName=NAME)

def tag(key, value):
    return {'ResourceId': NAME, 'ResourceType': 'auto-scaling-group', 'Key': key, 'Value': value,
            'PropagateAtLaunch': True}

def create():
    asg.create_auto_scaling_group(
        AutoScalingGroupName=NAME, MinSize=2, MaxSize=6, DesiredCapacity=4,
        HealthCheckGracePeriod=300, NewInstancesProtectedFromScaleIn=False,
        LaunchTemplate={'LaunchTemplateId': wish['template'], 'Version': '$Latest'},
        VPCZoneIdentifier=','.join(wish['subnets']), TerminationPolicies=['Default'],
        Tags=[tag('Name', 'web')])
    capacity(4)
    asg.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=['AZRebalance'])
    return group()

def heal():
    gone = members()[0]['InstanceId']
    ec2.terminate_instances(InstanceIds=[gone])
    until('replaced', lambda: gone not in [one['InstanceId'] for one in group()['Instances']])
    capacity(4)
    return gone

def change():
    asg.update_auto_scaling_group(
        AutoScalingGroupName=NAME, MinSize=1, MaxSize=3, DesiredCapacity=2, DefaultCooldown=60)
    asg.create_or_update_tags(Tags=[tag('Stage', 'test')])
    asg.delete_tags(Tags=[tag('Name', 'web')])
    asg.resume_processes(AutoScalingGroupName=NAME)
    capacity(2)
    return group()

def destroy():
    asg.update_auto_scaling_group(
        AutoScalingGroupName=NAME, MinSize=0, MaxSize=0, DesiredCapacity=0)
    until('it is empty', lambda: not group()['Instances'])
    asg.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=False)
    until('it is gone', lambda: group() is None)
    found = asg.describe_scaling_activities(IncludeDeletedGroups=True, AutoScalingGroupName=NAME)
    return [one['StatusCode'] for one in found['Activities']]

def away():
    asg.create_auto_scaling_group(
        AutoScalingGroupName=NAME, MinSize=0, MaxSize=2, DesiredCapacity=2,
        LaunchTemplate={'LaunchTemplateId': wish['template']},
        VPCZoneIdentifier=','.join(wish['subnets']))
    capacity(2)
    return group()

def back():
    racks = lambda: {one['AvailabilityZone'] for one in members()}
    until('balanced', lambda: len(racks()) == len(group()['Instances']) == 2)
    return group()

print(json.dumps(globals()[wish['phase']](), default=str))
`

const end = lastFirst({ after })
const cloud = await startCloud(end)
const { other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)
const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand())
const { LaunchTemplate } = await ec2.send(
  new CreateLaunchTemplateCommand({
    LaunchTemplateName: 'web',
    LaunchTemplateData: { ImageId: image, InstanceType: 't3.nano' },
  }),
)

interface Shown {
  readonly MinSize: number
  readonly DesiredCapacity: number
  readonly DefaultCooldown: number
  readonly Tags: readonly { readonly Key: string }[]
  readonly SuspendedProcesses: readonly { readonly ProcessName: string }[]
  readonly Instances: readonly { readonly InstanceId: string; readonly AvailabilityZone: string }[]
}

async function phase(
  name: 'create' | 'heal' | 'change' | 'destroy' | 'away' | 'back',
): Promise<unknown> {
  const wish = {
    ...{ phase: name, url: `http://127.0.0.1:${cloud.config.apiPort}` },
    ...{ key: cloud.init.accessKeyId, secret: cloud.init.secretAccessKey },
    template: LaunchTemplate?.LaunchTemplateId,
    subnets: Subnets.map((one) => one.SubnetId),
  }
  const input = JSON.stringify(wish)
  const { stdout } = await exec([PYTHON, '-c', SCRIPT], { input, timeoutMs: SCRIPT_MS })
  return JSON.parse(stdout)
}

function zonesOf({ Instances }: Shown): string[] {
  return Instances.map((one) => one.AvailabilityZone).sort()
}

test('a group of four is made over two racks', async () => {
  const group = (await phase('create')) as Shown
  assert.deepEqual(zonesOf(group), ['mallee-1-a', 'mallee-1-a', 'mallee-1-b', 'mallee-1-b'])
  assert.deepEqual(
    group.SuspendedProcesses.map((one) => one.ProcessName),
    ['AZRebalance'],
  )
})

test('an instance that its user terminates is replaced', async () => {
  assert.match(String(await phase('heal')), /^i-/)
})

test('a gateway that starts again goes on with the group as it was changed', async () => {
  await cloud.stop()
  await cloud.start()
  const group = (await phase('change')) as Shown
  assert.deepEqual(zonesOf(group), ['mallee-1-a', 'mallee-1-b'])
  assert.deepEqual([group.MinSize, group.DesiredCapacity, group.DefaultCooldown], [1, 2, 60])
  assert.deepEqual(
    group.Tags.map((one) => one.Key),
    ['Stage'],
  )
})

test('a group that is destroyed leaves nothing but its activities', async () => {
  const statuses = (await phase('destroy')) as string[]
  assert.deepEqual([...new Set(statuses)], ['Successful'])
  assert.equal(statuses.length, 10)
})

test('a rack that is away gets nothing, and its share when it is back', async () => {
  await other.stop()
  const isAway = async (): Promise<boolean> => {
    const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand())
    return AvailabilityZones.some((one) => one.State === 'impaired')
  }
  await until('the rack is said to be away', isAway)
  assert.deepEqual(zonesOf((await phase('away')) as Shown), ['mallee-1-a', 'mallee-1-a'])
  await other.start()
  assert.deepEqual(zonesOf((await phase('back')) as Shown), ['mallee-1-a', 'mallee-1-b'])
})
