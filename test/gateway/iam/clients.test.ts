// Stock boto3 and the aws CLI over the wire: the calls of a user's life and of an instance's role.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { exec } from '../../../common/exec.ts'
import { REGION } from '../ec2/support.ts'
import { type Credentials, openWorld, type World } from './world.ts'

const SCRIPT = `
import boto3, botocore.exceptions, json, sys
url, account = sys.argv[1:]
def client(service, **keys):
    return boto3.client(service, endpoint_url=url, **keys)
def code(call, **input):
    try:
        call(**input)
    except botocore.exceptions.ClientError as error:
        return error.response['Error']['Code'], error.response['ResponseMetadata']['HTTPStatusCode']
iam = client('iam')
trust = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'sts:AssumeRole',
    'Principal': {'AWS': 'arn:aws:iam::%s:root' % account, 'Service': 'ec2.amazonaws.com'}}]}
may = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'sts:AssumeRole',
    'Resource': '*'}]}
# aws_iam_user, aws_iam_access_key, aws_iam_policy, aws_iam_user_policy_attachment
user = iam.create_user(UserName='ann', Path='/ops/', Tags=[{'Key': 'a', 'Value': 'é 1'}])['User']
key = iam.create_access_key(UserName='ann')['AccessKey']
policy = iam.create_policy(PolicyName='may', PolicyDocument=json.dumps(may))['Policy']
version = iam.get_policy_version(PolicyArn=policy['Arn'], VersionId='v1')['PolicyVersion']
assert version['Document'] == may, version
iam.attach_user_policy(UserName='ann', PolicyArn=policy['Arn'])
# aws_iam_role, aws_iam_role_policy_attachment, aws_iam_instance_profile
role = iam.create_role(RoleName='web', AssumeRolePolicyDocument=json.dumps(trust),
    Description='of the web')['Role']
iam.get_waiter('role_exists').wait(RoleName='web')
assert iam.get_role(RoleName='web')['Role']['AssumeRolePolicyDocument'] == trust
iam.attach_role_policy(RoleName='web', PolicyArn='arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess')
attached = iam.list_attached_role_policies(RoleName='web')['AttachedPolicies']
profile = iam.create_instance_profile(InstanceProfileName='web')['InstanceProfile']
iam.add_role_to_instance_profile(InstanceProfileName='web', RoleName='web')
names = [p['PolicyName'] for page in iam.get_paginator('list_policies').paginate(
    PaginationConfig={'PageSize': 2}) for p in page['Policies']]
# the user acts as the role
sts = client('sts', aws_access_key_id=key['AccessKeyId'],
    aws_secret_access_key=key['SecretAccessKey'])
given = sts.assume_role(RoleArn=role['Arn'], RoleSessionName='one')
keys = dict(zip(('aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'),
    (given['Credentials'][k] for k in ('AccessKeyId', 'SecretAccessKey', 'SessionToken'))))
me = client('sts', **keys).get_caller_identity()
regions = client('ec2', **keys).describe_regions()['Regions']
denied = [code(client('ec2', **keys).create_vpc, CidrBlock='10.9.0.0/20'),
    code(client('iam', **keys).list_users), code(iam.create_user, UserName='ANN'),
    code(iam.delete_role, RoleName='web'), code(iam.get_user, UserName='nobody')]
# and all of it goes
iam.remove_role_from_instance_profile(InstanceProfileName='web', RoleName='web')
iam.delete_instance_profile(InstanceProfileName='web')
iam.detach_role_policy(RoleName='web', PolicyArn=attached[0]['PolicyArn'])
iam.delete_role(RoleName='web')
ended = code(client('sts', **keys).get_caller_identity)
iam.detach_user_policy(UserName='ann', PolicyArn=policy['Arn'])
iam.delete_policy(PolicyArn=policy['Arn'])
iam.delete_access_key(UserName='ann', AccessKeyId=key['AccessKeyId'])
iam.delete_user(UserName='ann')
left = [len(iam.list_users()['Users']), len(iam.list_roles()['Roles'])]
print(json.dumps([me['Arn'], len(names), len(set(names)), len(regions), denied, ended, left]))
`

test('boto3 goes through what Terraform asks of IAM, acts as a role, and leaves nothing', async (t) => {
  const world = await openWorld(t)
  const { stdout } = await exec(['/usr/bin/python3', '-', world.endpoint.url, world.account], {
    input: SCRIPT,
    env: environmentOf(t, world.root),
    timeoutMs: 60_000,
  })
  const [arn, names, different, regions, denied, ended, left] = JSON.parse(stdout)
  assert.equal(arn, `arn:aws:sts::${world.account}:assumed-role/web/one`)
  assert.ok(names > 5 && names === different, `${names} names, ${different} different ones`)
  assert.equal(regions, 1)
  assert.deepEqual(denied, [
    ['UnauthorizedOperation', 403],
    ['AccessDenied', 403],
    ['EntityAlreadyExists', 409],
    ['DeleteConflict', 409],
    ['NoSuchEntity', 404],
  ])
  assert.deepEqual(ended, ['InvalidClientTokenId', 403])
  assert.deepEqual(left, [0, 0])
})

test('the aws CLI makes a user, gives it keys, and is told who it is', async (t) => {
  const world = await openWorld(t)
  await cli(t, world, world.root, ['iam', 'create-user', '--user-name', 'ann'])
  const made = await cli(t, world, world.root, [
    ...['iam', 'create-access-key', '--user-name', 'ann'],
    ...['--query', 'AccessKey.[AccessKeyId,SecretAccessKey]'],
  ])
  const [accessKeyId = '', secretAccessKey = ''] = made.split(/\s+/)
  const ann = { accessKeyId, secretAccessKey }
  const who = ['sts', 'get-caller-identity', '--query', 'Arn']
  assert.equal(await cli(t, world, ann, who), `arn:aws:iam::${world.account}:user/ann`)
  const token = await cli(t, world, ann, [
    ...['sts', 'get-session-token', '--duration-seconds', '900'],
    ...['--query', 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]'],
  ])
  const [id = '', secret = '', sessionToken = ''] = token.split(/\s+/)
  const session = { accessKeyId: id, secretAccessKey: secret, sessionToken }
  assert.equal(await cli(t, world, session, who), `arn:aws:iam::${world.account}:user/ann`)
})

async function cli(
  t: TestContext,
  world: World,
  as: Credentials,
  argv: readonly string[],
): Promise<string> {
  const program = ['/usr/bin/aws', '--endpoint-url', world.endpoint.url, '--output', 'text']
  const { stdout } = await exec([...program, ...argv], {
    env: environmentOf(t, as),
    timeoutMs: 60_000,
  })
  return stdout.trim()
}

function environmentOf(
  t: TestContext,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
): Record<string, string> {
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  return {
    HOME: home,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: sessionToken }),
    AWS_DEFAULT_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}
