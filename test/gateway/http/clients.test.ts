// The clients that people use, as they come, against the listening endpoint.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { EC2 } from '@aws-sdk/client-ec2'
import { STS } from '@aws-sdk/client-sts'
import { type ExecResult, exec } from '../../../common/exec.ts'
import { codeIn } from './sign.ts'
import { auditOf, CALLER, type Endpoint, KEY, REGION, startEndpoint } from './support.ts'

function sdkConfig(endpoint: Endpoint, secretAccessKey = KEY.secretAccessKey) {
  const credentials = { ...KEY, secretAccessKey }
  return { endpoint: endpoint.url, region: REGION, maxAttempts: 1, credentials }
}

test('the JavaScript SDK signs, sends, and reads answer and error', async (t) => {
  const endpoint = await startEndpoint(t)
  const ec2 = new EC2(sdkConfig(endpoint))
  t.after(() => ec2.destroy())
  const { Regions } = await ec2.describeRegions({ RegionNames: ['a b+c/é~*'] })
  assert.deepEqual(Regions, [{ RegionName: 'a b+c/é~*', Endpoint: 'é <&> \u{1F428}' }])
  await assert.rejects(ec2.deleteVpc({ VpcId: 'vpc-1', DryRun: true }), {
    name: 'DryRunOperation',
    message: 'Request would have succeeded, but DryRun flag is set.',
  })
  await assert.rejects(ec2.createVpc({ InstanceTenancy: 'nope' as 'default' }), {
    name: 'InvalidParameterValue',
    message: 'Value (nope) for parameter InstanceTenancy is invalid.',
  })
  const stranger = new EC2(sdkConfig(endpoint, 'wrong'))
  t.after(() => stranger.destroy())
  await assert.rejects(stranger.describeRegions({}), { name: 'SignatureDoesNotMatch' })
})

test('the JavaScript SDK asks STS at the same port who it is', async (t) => {
  const endpoint = await startEndpoint(t)
  const sts = new STS(sdkConfig(endpoint))
  t.after(() => sts.destroy())
  const { $metadata: _, ...identity } = await sts.getCallerIdentity({})
  const { account: Account, userArn: Arn, userId: UserId } = CALLER
  assert.deepEqual(identity, { Account, Arn, UserId })
  await assert.rejects(sts.getSessionToken({}), { name: 'UnsupportedOperation' })
})

test('the aws CLI describes regions and says who it is', async (t) => {
  const endpoint = await startEndpoint(t)
  const regions = await aws(t, endpoint, ['ec2', 'describe-regions', '--region-names', 'a b'])
  assert.deepEqual(JSON.parse(regions.stdout).Regions[0].RegionName, 'a b')
  const identity = await aws(t, endpoint, ['sts', 'get-caller-identity'])
  assert.equal(JSON.parse(identity.stdout).Arn, CALLER.userArn)
  assert.equal(auditOf(endpoint.lines, 'DescribeRegions')['account'], CALLER.account)
})

for (const [what, argv, environment, want] of [
  [
    ...['an unknown key', ['describe-regions'], { AWS_ACCESS_KEY_ID: 'AKIANOBODY0000000000' }],
    /\(AuthFailure\) when calling the DescribeRegions operation.*: AWS was not able to validate/,
  ],
  [
    ...['another secret', ['describe-regions'], { AWS_SECRET_ACCESS_KEY: 'wrong' }],
    /\(SignatureDoesNotMatch\) when calling the DescribeRegions operation.*: The request signat/,
  ],
  [
    ...['another region', ['describe-regions'], { AWS_DEFAULT_REGION: 'us-east-1' }],
    /\(AuthFailure\) .*Credential should be scoped to a valid region, not 'us-east-1'/,
  ],
  [
    ...['an operation nobody implements', ['describe-images'], {}],
    /\(UnsupportedOperation\) when calling the DescribeImages operation.*: This cloud does not/,
  ],
  [
    ...['a dry run', ['delete-vpc', '--vpc-id', 'vpc-1', '--dry-run'], {}],
    /\(DryRunOperation\) when calling the DeleteVpc operation.*: Request would have succeeded/,
  ],
] as const) {
  test(`the aws CLI shows what AWS would say of ${what}`, async (t) => {
    const endpoint = await startEndpoint(t)
    const { code, stderr } = await aws(t, endpoint, ['ec2', ...argv], environment)
    assert.notEqual(code, 0)
    assert.match(stderr, want)
  })
}

test('boto3 describes regions, reads a code, and presigns a URL for anybody', async (t) => {
  const endpoint = await startEndpoint(t)
  const script = `
import boto3, botocore.exceptions, json
ec2 = boto3.client('ec2', endpoint_url='${endpoint.url}')
names = [r['RegionName'] for r in ec2.describe_regions(RegionNames=['é +&='])['Regions']]
try:
    ec2.describe_vpcs(VpcIds=['vpc-1'], MaxResults=5)
except botocore.exceptions.ClientError as error:
    code = error.response['Error']['Code'], error.response['ResponseMetadata']['HTTPStatusCode']
urls = [ec2.generate_presigned_url('describe_regions', Params={'RegionNames': ['x y']},
    HttpMethod=method) for method in ('GET', 'POST')]
sts = boto3.client('sts', endpoint_url='${endpoint.url}')
urls.append(sts.generate_presigned_url('get_caller_identity', HttpMethod='GET'))
print(json.dumps([names, code, urls]))
`
  const { stdout } = await exec(['/usr/bin/python3', '-'], {
    input: script,
    env: clientEnvironment(t),
    timeoutMs: 30_000,
  })
  const [names, code, [url, postUrl, stsUrl]] = JSON.parse(stdout)
  assert.deepEqual(names, ['é +&='])
  assert.deepEqual(code, ['InternalError', 500])

  const good = await fetch(url)
  assert.match(await good.text(), /<regionName>x y<\/regionName>/)
  const posted = await fetch(postUrl, { method: 'POST' })
  assert.match(await posted.text(), /<regionName>x y<\/regionName>/)
  const sts = await fetch(stsUrl)
  assert.match(await sts.text(), /<GetCallerIdentityResult><Account>000000000001</)
  for (const [from, to, status, want] of [
    ['x%20y', 'x%20z', 403, 'SignatureDoesNotMatch'],
    ['X-Amz-Expires=3600', 'X-Amz-Expires=3601', 403, 'SignatureDoesNotMatch'],
    ['X-Amz-Expires=3600', 'X-Amz-Expires=700000', 400, 'IncompleteSignature'],
    ['X-Amz-Algorithm=', 'X-Amz-Algorithm=x', 400, 'IncompleteSignature'],
    [/X-Amz-Date=\d{4}/, 'X-Amz-Date=2020', 403, 'SignatureDoesNotMatch'],
    [/&X-Amz-Signature=.*/, '', 400, 'IncompleteSignature'],
  ] as const) {
    assert.notEqual(url.replace(from, to), url)
    const response = await fetch(url.replace(from, to))
    assert.deepEqual([response.status, codeIn(await response.text())], [status, want], `${from}`)
  }

  const later = Date.now() + 2 * 3_600_000
  const clock = { nowMs: () => later, sleep: async () => undefined }
  const late = await startEndpoint(t, { clock })
  const request = await fetch(url.replace(endpoint.url, late.url))
  assert.equal(codeIn(await request.text()), 'RequestExpired')
})

/** Runs the CLI with an empty home: it must not find anybody's settings. */
async function aws(
  t: TestContext,
  endpoint: Endpoint,
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<ExecResult> {
  return await exec(['/usr/bin/aws', '--endpoint-url', endpoint.url, '--output', 'json', ...argv], {
    env: { ...clientEnvironment(t), ...environment },
    okCodes: [0, 1, 2, 252, 253, 254, 255],
    timeoutMs: 60_000,
  })
}

function clientEnvironment(t: TestContext): Record<string, string> {
  const home = mkdtempSync(join(tmpdir(), 'mallee-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  return {
    HOME: home,
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    AWS_DEFAULT_REGION: REGION,
    AWS_MAX_ATTEMPTS: '1',
    AWS_EC2_METADATA_DISABLED: 'true',
    PYTHONIOENCODING: 'utf-8',
  }
}
