// Managed policies that every account has, under the names that AWS gives them (AWS managed policy
// reference). What AWS' own allow of services that no cloud of ours has is left out.

export interface AwsPolicy {
  readonly id: string
  readonly name: string
  readonly path: string
  readonly description: string
  readonly document: string
}

const CREATED_MS = Date.UTC(2015, 1, 6, 18, 39)

/** When each was made, as AWS tells it of the first ones. */
export function awsPolicyTimeMs(): number {
  return CREATED_MS
}

export const AWS_POLICIES: readonly AwsPolicy[] = [
  policy('AdministratorAccess', 'ANPAIWMBCKSKIEE64ZLYK', {
    description: 'Provides full access to AWS services and resources.',
    statements: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  }),
  policy('PowerUserAccess', 'ANPAJYRXTHIB4FOVS3ZXS', {
    description:
      'Provides full access to AWS services and resources, but does not allow management of Users and groups.',
    statements: [
      { Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' },
      { Effect: 'Allow', Action: ['iam:ListRoles'], Resource: '*' },
    ],
  }),
  policy('ReadOnlyAccess', 'ANPAILL3HVNFSB6DCOWYQ', {
    description: 'Provides read-only access to AWS services and resources.',
    statements: [
      {
        Effect: 'Allow',
        Action: [
          ...['autoscaling:Describe*', 'autoscaling:GetPredictiveScalingForecast'],
          ...['ec2:Describe*', 'ec2:Get*', 'ec2:List*', 'ec2:Search*'],
          ...['elasticloadbalancing:Describe*'],
          ...['iam:Generate*', 'iam:Get*', 'iam:List*', 'iam:Simulate*'],
          ...['s3:Describe*', 's3:Get*', 's3:List*'],
          ...['sts:GetAccessKeyInfo', 'sts:GetCallerIdentity', 'sts:GetSessionToken'],
        ],
        Resource: '*',
      },
    ],
  }),
  policy('AmazonEC2FullAccess', 'ANPAI3VAJF5ZCRZ7MCQE6', {
    description: 'Provides full access to Amazon EC2 via the AWS Management Console.',
    statements: ['ec2:*', 'elasticloadbalancing:*', 'autoscaling:*'].map((Action) => ({
      ...{ Effect: 'Allow', Action, Resource: '*' },
    })),
  }),
  policy('AmazonEC2ReadOnlyAccess', 'ANPAIGDT4SV4GSETWTBZK', {
    description: 'Provides read only access to Amazon EC2 via the AWS Management Console.',
    statements: [
      ['ec2:Describe*', 'ec2:GetSecurityGroupsForVpc'],
      ['elasticloadbalancing:Describe*'],
      ['autoscaling:Describe*'],
    ].map((Action) => ({ Effect: 'Allow', Action, Resource: '*' })),
  }),
  policy('AutoScalingFullAccess', 'ANPAIAWRCSJDDXDXGPCFU', {
    description: 'Provides full access to Auto Scaling.',
    statements: [
      { Effect: 'Allow', Action: ['autoscaling:*'], Resource: '*' },
      {
        Effect: 'Allow',
        Action: [
          ...['ec2:DescribeAccountAttributes', 'ec2:DescribeAvailabilityZones'],
          ...['ec2:DescribeImages', 'ec2:DescribeInstanceAttribute', 'ec2:DescribeInstances'],
          ...['ec2:DescribeKeyPairs', 'ec2:DescribeLaunchTemplateVersions'],
          ...['ec2:DescribePlacementGroups', 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets'],
          ...['elasticloadbalancing:Describe*'],
        ],
        Resource: '*',
      },
    ],
  }),
  policy('ElasticLoadBalancingFullAccess', 'ANPAIDPMLA3IUIOQCISJ4', {
    description: 'Provides full access to Amazon ElasticLoadBalancing.',
    statements: [
      { Effect: 'Allow', Action: 'elasticloadbalancing:*', Resource: '*' },
      {
        Effect: 'Allow',
        Action: [
          ...['ec2:DescribeAccountAttributes', 'ec2:DescribeAddresses'],
          ...['ec2:DescribeInternetGateways', 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets'],
          ...['ec2:DescribeVpcs', 'ec2:DescribeInstances', 'ec2:DescribeNetworkInterfaces'],
          ...['ec2:DescribeRouteTables', 'ec2:DescribeVpcPeeringConnections'],
        ],
        Resource: '*',
      },
    ],
  }),
  policy('IAMFullAccess', 'ANPAI7XKCFMBPM3QQRRVQ', {
    description: 'Provides full access to IAM via the AWS Management Console.',
    statements: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }],
  }),
  policy('IAMReadOnlyAccess', 'ANPAJKSO7NDY4T57MWDSQ', {
    description: 'Provides read only access to IAM via the AWS Management Console.',
    statements: [
      {
        Effect: 'Allow',
        Action: [
          ...['iam:GenerateCredentialReport', 'iam:GenerateServiceLastAccessedDetails'],
          ...['iam:Get*', 'iam:List*', 'iam:SimulateCustomPolicy', 'iam:SimulatePrincipalPolicy'],
        ],
        Resource: '*',
      },
    ],
  }),
  policy('IAMUserChangePassword', 'ANPAJ4L4MM2A7QIEB56MS', {
    description: 'Provides the ability for an IAM user to change their own password.',
    statements: [
      {
        Effect: 'Allow',
        Action: ['iam:ChangePassword'],
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of policies
        Resource: ['arn:aws:iam::*:user/${aws:username}'],
      },
      { Effect: 'Allow', Action: ['iam:GetAccountPasswordPolicy'], Resource: '*' },
    ],
  }),
]

function policy(
  name: string,
  id: string,
  { description, statements }: { description: string; statements: readonly object[] },
): AwsPolicy {
  const document = JSON.stringify({ Version: '2012-10-17', Statement: statements }, null, 4)
  return { id, name, path: '/', description, document }
}
