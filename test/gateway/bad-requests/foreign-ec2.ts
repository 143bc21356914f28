// For each action of EC2 that takes things by their names or ARNs: what a second account asks with
// those of the first's, and what it is told. Ids are in foreign-ids.test.ts.

import assert from 'node:assert/strict'
import { loadModel, type Member, type Ref } from '../../../gateway/aws/model.ts'
import type { World } from '../iam/world.ts'
import type { Asks } from './foreign-iam.ts'

interface Theirs {
  /** Of a security group in the default VPC. */
  readonly group: string
  readonly profileArn: string
}

interface Own {
  readonly image: string
  readonly template: string
  readonly instance: string
  /** Of the instance with a profile. */
  readonly acting: string
}

const MODEL = loadModel('ec2')
/** Members that name things of the account by name or ARN. */
const NAMED = /^(?:(?:SourceSecurity)?GroupNames?|KeyNames?|LaunchTemplateNames?|SecurityGroups)$/
const OWN = 'own'
const NO_GROUP = /^InvalidGroup\.NotFound$/
const NO_KEY = /^InvalidKeyPair\.NotFound$/
const NO_TEMPLATE = /^InvalidLaunchTemplateName\.NotFoundException$/
const NO_PLACE = /^InvalidPlacementGroup\.Unknown$/
const NO_PROFILE = /^InvalidParameterValue$/
const WEB = { IpProtocol: 'tcp', FromPort: 80, ToPort: 80 }

/** A group in the default VPC of the first account. */
export async function ec2Things(world: World): Promise<Theirs> {
  const group = 'lan'
  await world.ec2().createSecurityGroup({ GroupName: group, Description: group })
  const asked = { InstanceProfileName: 'web' }
  const { InstanceProfile } = await world.iam().getInstanceProfile(asked)
  assert.ok(InstanceProfile?.Arn)
  return { group, profileArn: InstanceProfile.Arn }
}

/** Of the second account: `member` gets a profile, another instance has none. */
export async function ownEc2(world: World, member: string, template: string): Promise<Own> {
  const ec2 = world.ec2(world.other)
  const { Images } = await ec2.describeImages({ Owners: ['self'] })
  const profile = { InstanceProfileName: 'acting' }
  const iam = world.iam(world.other)
  await iam.createInstanceProfile(profile)
  await iam.addRoleToInstanceProfile({ ...profile, RoleName: 'own' })
  const { IamInstanceProfileAssociation } = await ec2.associateIamInstanceProfile({
    ...{ InstanceId: member, IamInstanceProfile: { Name: 'acting' } },
  })
  const image = Images?.[0]?.ImageId
  const one = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const
  const { Instances } = await ec2.runInstances({ ImageId: image, ...one })
  const instance = Instances?.[0]?.InstanceId
  const acting = IamInstanceProfileAssociation?.AssociationId
  assert.ok(image && acting && instance)
  return { image, template, instance, acting }
}

/** Actions that are done and have such members. */
export function actionsWithNames(done: readonly string[]): string[] {
  // Its groups are not security groups: there is one, `all`.
  const named = done.filter((action) => action !== 'ModifySnapshotAttribute')
  return named.filter((action) => hasNames(MODEL.ops[action]?.i, 0))
}

export function ec2Asks({ group, profileArn }: Theirs, own: Own): Asks {
  const base = { ImageId: own.image, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 }
  const key = { KeyName: 'mine' }
  const template = { LaunchTemplateName: 'web' }
  const byName = { GroupName: group }
  const pair = { GroupName: 'default', IpPermissions: [{ ...WEB, UserIdGroupPairs: [byName] }] }
  const range = { ...byName, IpPermissions: [{ ...WEB, IpRanges: [{ CidrIp: '192.0.2.0/24' }] }] }
  const source = { GroupName: 'default', SourceSecurityGroupName: group }
  const fleet = (specification: object, overrides: object) => ({
    ...{ Type: 'instant' },
    LaunchTemplateConfigs: [{ LaunchTemplateSpecification: specification, Overrides: [overrides] }],
    TargetCapacitySpecification: { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'on-demand' },
  })
  const mine = { LaunchTemplateId: own.template, Version: '1' }
  const [asArn, asName] = [{ Arn: profileArn }, { Name: 'web' }]
  return {
    RunInstances: [
      [{ ...base, ...key }, NO_KEY],
      [{ ...base, SecurityGroups: [group] }, NO_GROUP],
      [{ ...base, LaunchTemplate: template }, NO_TEMPLATE],
      [{ ...base, Placement: { GroupName: 'near' } }, NO_PLACE],
      [{ ...base, IamInstanceProfile: asArn }, NO_PROFILE],
      [{ ...base, IamInstanceProfile: asName }, NO_PROFILE],
    ],
    CreateFleet: [
      // As with AWS, what a launch is refused for is in the answer.
      [fleet({ ...template, Version: '1' }, {}), OWN],
      [fleet(mine, { Placement: { GroupName: 'near' } }), /^UnsupportedOperation$/],
    ],
    AssociateIamInstanceProfile: [
      [{ InstanceId: own.instance, IamInstanceProfile: asArn }, NO_PROFILE],
      [{ InstanceId: own.instance, IamInstanceProfile: asName }, NO_PROFILE],
    ],
    ReplaceIamInstanceProfileAssociation: [
      [{ AssociationId: own.acting, IamInstanceProfile: asArn }, NO_PROFILE],
      [{ AssociationId: own.acting, IamInstanceProfile: asName }, NO_PROFILE],
    ],
    DescribeSecurityGroups: [[{ GroupNames: [group] }, NO_GROUP]],
    DeleteSecurityGroup: [[byName, NO_GROUP]],
    AuthorizeSecurityGroupIngress: [
      [range, NO_GROUP],
      [pair, NO_GROUP],
      [source, NO_GROUP],
    ],
    RevokeSecurityGroupIngress: [
      [range, NO_GROUP],
      [pair, NO_GROUP],
      [source, NO_GROUP],
    ],
    AuthorizeSecurityGroupEgress: [[pair, /./]],
    RevokeSecurityGroupEgress: [[pair, /./]],
    UpdateSecurityGroupRuleDescriptionsIngress: [
      [range, NO_GROUP],
      [pair, NO_GROUP],
    ],
    UpdateSecurityGroupRuleDescriptionsEgress: [
      [range, NO_GROUP],
      [pair, NO_GROUP],
    ],
    DescribeKeyPairs: [[{ KeyNames: ['mine'] }, NO_KEY]],
    // As with AWS, ending what is not there is no error.
    DeleteKeyPair: [[key, OWN]],
    DescribePlacementGroups: [[{ GroupNames: ['near'] }, NO_PLACE]],
    DeletePlacementGroup: [[{ GroupName: 'near' }, NO_PLACE]],
    ModifyInstancePlacement: [[{ InstanceId: own.instance, GroupName: 'near' }, /./]],
    DescribeLaunchTemplates: [[{ LaunchTemplateNames: ['web'] }, NO_TEMPLATE]],
    DescribeLaunchTemplateVersions: [[template, NO_TEMPLATE]],
    ModifyLaunchTemplate: [[{ ...template, DefaultVersion: '1' }, NO_TEMPLATE]],
    CreateLaunchTemplateVersion: [
      [{ ...template, LaunchTemplateData: { InstanceType: 't3.nano' } }, NO_TEMPLATE],
    ],
    DeleteLaunchTemplateVersions: [[{ ...template, Versions: ['1'] }, NO_TEMPLATE]],
    DeleteLaunchTemplate: [[template, NO_TEMPLATE]],
    // Names are an account's own.
    CreateKeyPair: [[key, OWN]],
    ImportKeyPair: [[{ KeyName: 'mine', PublicKeyMaterial: 'x' }, /./]],
    CreateSecurityGroup: [[{ ...byName, Description: group }, OWN]],
    CreatePlacementGroup: [[{ GroupName: 'near', Strategy: 'spread' }, OWN]],
    CreateLaunchTemplate: [
      [{ ...template, LaunchTemplateData: { KeyName: 'mine', ImageId: own.image } }, OWN],
    ],
  }
}

function hasNames(ref: Ref | undefined, depth: number): boolean {
  return membersOf(ref).some(
    ({ n, r }) =>
      NAMED.test(n) || n === 'IamInstanceProfile' || (depth < 4 && hasNames(r, depth + 1)),
  )
}

function membersOf(ref: Ref | undefined): readonly Member[] {
  const shape = typeof ref === 'number' ? MODEL.shapes[ref] : undefined
  if (shape?.[0] === 'l') return membersOf(shape[2])
  return shape?.[0] === 'o' ? shape[2] : []
}
