// Requests and answers in the wire form of EC2 and of the query services.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { createCodec } from '../../../gateway/aws/codec.ts'
import { parseForm } from '../../../gateway/aws/form.ts'
import { loadModel } from '../../../gateway/aws/model.ts'

const ec2 = createCodec(loadModel('ec2'))
const sts = createCodec(loadModel('sts'))
const iam = createCodec(loadModel('iam'))
const autoscaling = createCodec(loadModel('autoscaling'))
const elb = createCodec(loadModel('elasticloadbalancing'))
const decode = (operation: string, form: string) => ec2.decode(operation, parseForm(form))

test('decode makes the typed input of nested parameters', () => {
  const form = [
    'Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=2&InstanceType=m1.anything',
    'BlockDeviceMapping.1.DeviceName=/dev/vda&BlockDeviceMapping.1.Ebs.DeleteOnTermination=FALSE',
    'TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.2.Key=b',
    'TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=',
  ].join('&')
  assert.deepEqual(decode('RunInstances', form), {
    MinCount: 1,
    MaxCount: 2,
    InstanceType: 'm1.anything',
    BlockDeviceMappings: [{ DeviceName: '/dev/vda', Ebs: { DeleteOnTermination: false } }],
    TagSpecifications: [
      { ResourceType: 'instance', Tags: [{ Key: 'a', Value: '' }, { Key: 'b' }] },
    ],
  })
})

for (const [operation, form, code, message] of [
  ['DescribeVpcs', 'Foo=1', 'UnknownParameter', 'The parameter Foo is not recognized'],
  ['DescribeVpcs', 'Filter.1.Foo=1', 'UnknownParameter', 'The parameter Filter.1.Foo is not recog'],
  ['DescribeVpcs', 'MaxResults.1=1', 'UnknownParameter', 'The parameter MaxResults.1 is not recog'],
  ['DescribeVpcs', '__proto__=1', 'UnknownParameter', 'The parameter __proto__ is not recognized'],
  ['DeleteVpc', '', 'MissingParameter', 'The request must contain the parameter VpcId'],
  [
    'CreateTags',
    'ResourceId.1=a',
    'MissingParameter',
    'The request must contain the parameter Tag',
  ],
  [
    ...['DescribeVolumeAttribute', 'VolumeId=a&Attribute=nope', 'InvalidParameterValue'],
    'Value (nope) for parameter Attribute is invalid.',
  ],
  [
    ...['DescribeVpcs', 'MaxResults=ten', 'InvalidParameterValue'],
    'Value (ten) for parameter MaxResults is not an integer.',
  ],
  ['DescribeVpcs', 'MaxResults=1.5', 'InvalidParameterValue', 'Value (1.5) for parameter'],
  ['DescribeVpcs', 'MaxResults=0x10', 'InvalidParameterValue', 'Value (0x10) for parameter'],
  [
    'DescribeVpcs',
    'MaxResults=9007199254740993',
    'InvalidParameterValue',
    'Value (9007199254740993',
  ],
  ['DescribeVpcs', 'MaxResults=', 'InvalidParameterValue', 'Value () for parameter MaxResults'],
  ['DescribeVpcs', 'DryRun=maybe', 'InvalidParameterValue', 'Value (maybe) for parameter DryRun'],
  [
    'DescribeVpcs',
    'VpcId=vpc-1',
    'InvalidParameterValue',
    'Value (vpc-1) for parameter VpcId is no',
  ],
  ['DescribeVpcs', 'VpcId.x=vpc-1', 'InvalidParameter', 'The index of VpcId.x is invalid.'],
  ['DescribeVpcs', 'VpcId.-1=vpc-1', 'InvalidParameter', 'The index of VpcId.-1 is invalid.'],
  ['DescribeVpcs', 'VpcId.01=vpc-1', 'InvalidParameter', 'The index of VpcId.01 is invalid.'],
  ['DescribeVpcs', 'VpcId.999999=vpc-1', 'InvalidParameter', 'The index of VpcId.999999 is inv'],
  ['RunInstances', 'Placement=x', 'InvalidParameterValue', 'Value (x) for parameter Placement is'],
  [
    ...['ImportKeyPair', 'KeyName=k&PublicKeyMaterial=%3F', 'InvalidParameterValue'],
    'Value (?) for parameter PublicKeyMaterial is not base64.',
  ],
  [
    ...['DescribeSpotPriceHistory', 'StartTime=yesterday', 'InvalidParameterValue'],
    'Value (yesterday) for parameter StartTime is not a time.',
  ],
] as const) {
  test(`decode of ${operation} with ${form || 'nothing'} says ${code}`, () => {
    assert.throws(
      () => decode(operation, form),
      (error) =>
        error instanceof ApiError && error.code === code && error.message.startsWith(message),
    )
  })
}

for (const [text, want] of [
  ['2026-11-22T12:00:00Z', '2026-11-22T12:00:00.000Z'],
  ['2026-11-22T12:00:00', '2026-11-22T12:00:00.000Z'],
  ['2026-11-22T12:00:00.5%2B02:00', '2026-11-22T10:00:00.500Z'],
  ['2026-11-22', '2026-11-22T00:00:00.000Z'],
  ['1700000000', '2023-11-14T22:13:20.000Z'],
] as const) {
  test(`decode reads the time ${text}`, () => {
    const input = decode('DescribeSpotPriceHistory', `StartTime=${text}`)
    assert.deepEqual(input, { StartTime: new Date(want) })
  })
}

for (const [form, code] of [
  ['', 'MissingAction'],
  ['Action=', 'MissingAction'],
  ['Action=Nothing', 'InvalidAction'],
  ['Action=toString', 'InvalidAction'],
  ['Action=DescribeVpcs&Version=%22%3E%3Cx', 'InvalidParameterValue'],
] as const) {
  test(`actionOf of ${form || 'nothing'} says ${code}`, () => {
    assert.throws(() => ec2.actionOf(parseForm(form)), { code, status: 400 })
  })
}

test('decode refuses a megabyte of spaces that is no base64 in linear time', () => {
  const form = `KeyName=k&PublicKeyMaterial=${'+'.repeat(1_000_000)}%3F`
  assert.throws(() => decode('ImportKeyPair', form), { code: 'InvalidParameterValue' })
})

test('encode repeats the version that the caller speaks', () => {
  const action = ec2.actionOf(parseForm('Action=DescribeVpcs&Version=2013-02-01'))
  assert.equal(
    ec2.encode(action, { Vpcs: [] }, 'id-1'),
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2013-02-01/">' +
      '<requestId>id-1</requestId><vpcSet></vpcSet></DescribeVpcsResponse>',
  )
})

for (const [operation, output, want] of [
  ['DeleteVpc', {}, '<requestId>i</requestId><return>true</return></DeleteVpcResponse>'],
  ['CreateRoute', {}, '<requestId>i</requestId><return>true</return></CreateRouteResponse>'],
  ['CreateRoute', { Return: false }, '</requestId><return>false</return></CreateRouteResponse>'],
  ['DescribeVpcs', {}, '<requestId>i</requestId></DescribeVpcsResponse>'],
] as const) {
  test(`encode of ${operation} with ${JSON.stringify(output)} ends with ${want}`, () => {
    const xml = ec2.encode({ operation, version: '2016-11-15' }, output, 'i')
    assert.ok(xml.endsWith(want), xml)
  })
}

test('encode carries any text, and replaces what XML cannot have', () => {
  const output = { Vpcs: [{ VpcId: '<&">\r\u0000é🐨' }] }
  const xml = ec2.encode({ operation: 'DescribeVpcs', version: '2016-11-15' }, output, 'i')
  assert.match(xml, /<vpcId>&lt;&amp;&quot;&gt;&#13;\ufffdé🐨<\/vpcId>/)
})

test('encode refuses a member that the model does not have', () => {
  const action = { operation: 'DescribeVpcs', version: '2016-11-15' }
  assert.throws(() => ec2.encode(action, { Nonsense: 1 }, 'i'), /has no member Nonsense/)
})

test('encodeError has the form of each protocol', () => {
  const error = new ApiError('InvalidVpcID.NotFound', "The vpc ID '<x>' does not exist")
  assert.equal(
    ec2.encodeError(error, 'id-1'),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>' +
      "<Code>InvalidVpcID.NotFound</Code><Message>The vpc ID '&lt;x&gt;' does not exist</Message>" +
      '</Error></Errors><RequestID>id-1</RequestID></Response>',
  )
  assert.equal(
    sts.encodeError(new ApiError('InternalError', 'x', 500), 'id-1'),
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>' +
      '<Type>Receiver</Type><Code>InternalError</Code><Message>x</Message></Error>' +
      '<RequestId>id-1</RequestId></ErrorResponse>',
  )
})

test('decode of STS reads lists below member', () => {
  const form = 'RoleArn=a&RoleSessionName=s&Tags.member.1.Key=k&Tags.member.1.Value=v'
  assert.deepEqual(sts.decode('AssumeRole', parseForm(form)), {
    RoleArn: 'a',
    RoleSessionName: 's',
    Tags: [{ Key: 'k', Value: 'v' }],
  })
})

for (const [codec, operation, form, message] of [
  [sts, 'AssumeRole', 'Tags.1.Key=k', 'The parameter Tags.1 is not recognized'],
  [iam, 'CreateUser', '', 'The request must contain the parameter UserName'],
  [iam, 'CreateUser', 'UserName=a&Nonsense=1', 'The parameter Nonsense is not recognized'],
  [iam, 'GetAccountSummary', 'UserName=a', 'The parameter UserName is not recognized'],
  [iam, 'ListUsers', 'MaxItems=1.5', 'Value (1.5) for parameter MaxItems is not an integer.'],
  [elb, 'CreateLoadBalancer', 'Name=a&Type=x', 'Value (x) for parameter Type is invalid.'],
] as const) {
  test(`decode of ${operation} with ${form || 'nothing'} says ValidationError`, () => {
    assert.throws(() => codec.decode(operation, parseForm(form)), {
      code: 'ValidationError',
      message,
      status: 400,
    })
  })
}

for (const [what, codec, operation, output, want] of [
  [
    ...['iam', iam, 'DeleteUser', {}],
    '<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata>' +
      '<RequestId>i</RequestId></ResponseMetadata></DeleteUserResponse>',
  ],
  [
    ...['autoscaling', autoscaling, 'DescribeAutoScalingGroups', { AutoScalingGroups: [] }],
    '<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">' +
      '<DescribeAutoScalingGroupsResult><AutoScalingGroups></AutoScalingGroups>' +
      '</DescribeAutoScalingGroupsResult><ResponseMetadata><RequestId>i</RequestId>' +
      '</ResponseMetadata></DescribeAutoScalingGroupsResponse>',
  ],
  [
    ...['elasticloadbalancing', elb, 'DeleteLoadBalancer', {}],
    '<DeleteLoadBalancerResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">' +
      '<DeleteLoadBalancerResult></DeleteLoadBalancerResult><ResponseMetadata>' +
      '<RequestId>i</RequestId></ResponseMetadata></DeleteLoadBalancerResponse>',
  ],
] as const) {
  test(`encode of ${what} says ${operation} as AWS does`, () => {
    const action = codec.actionOf(parseForm(`Action=${operation}`))
    assert.equal(codec.encode(action, output, 'i'), want)
  })
}

test('decode of Auto Scaling reads fractions where its model has them', () => {
  const form = [
    'AutoScalingGroupName=a&PolicyName=p&StepAdjustments.member.1.ScalingAdjustment=1',
    'StepAdjustments.member.1.MetricIntervalLowerBound=0.5',
  ].join('&')
  const input = autoscaling.decode('PutScalingPolicy', parseForm(form))
  assert.deepEqual(input, {
    AutoScalingGroupName: 'a',
    PolicyName: 'p',
    StepAdjustments: [{ ScalingAdjustment: 1, MetricIntervalLowerBound: 0.5 }],
  })
})
