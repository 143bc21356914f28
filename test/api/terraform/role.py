# aws_iam_role with an attachment and an inline policy, aws_iam_policy, aws_iam_instance_profile; and
# who the provider asks that it is.

import json

from cloud import iam, only, refreshed, refused, sts, tags


def document(action, **more):
    return json.dumps({'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Action': action, **more}]})


TRUST = document('sts:AssumeRole', Principal={'Service': 'ec2.amazonaws.com'})
READ = document('ec2:Describe*', Resource='*')
READ_ONLY = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess'
NAME = 'tf-role'
ROLE = {'RoleName': NAME}
PROFILE = {'InstanceProfileName': NAME}


def iam_role():
    who = sts.get_caller_identity()
    assert who['Account'] and who['Arn'], who

    def read():
        role = iam.get_role(**ROLE)['Role']
        inline = iam.list_role_policies(**ROLE)['PolicyNames']
        return {
            'role': role,
            'inline': {name: iam.get_role_policy(**ROLE, PolicyName=name)['PolicyDocument']
                       for name in inline},
            'attached': [one['PolicyArn'] for one in iam.list_attached_role_policies(
                **ROLE)['AttachedPolicies']],
        }

    refused('NoSuchEntity', iam.get_role, **ROLE)
    made = iam.create_role(
        **ROLE, Path='/tf/', AssumeRolePolicyDocument=TRUST, Description='of the test',
        MaxSessionDuration=3600, Tags=tags())['Role']
    assert made['Arn'].endswith(':role/tf/' + NAME), made
    seen = refreshed(read)
    assert seen['role']['AssumeRolePolicyDocument'] == json.loads(TRUST), seen
    assert seen['role']['Tags'] == tags() and seen['attached'] == [], seen

    policy = iam.create_policy(PolicyName=NAME, PolicyDocument=READ, Tags=tags())['Policy']['Arn']

    def read_policy():
        found = iam.get_policy(PolicyArn=policy)['Policy']
        version = iam.get_policy_version(
            PolicyArn=policy, VersionId=found['DefaultVersionId'])['PolicyVersion']
        return found, version

    found, version = refreshed(read_policy)
    assert version['Document'] == json.loads(READ) and found['AttachmentCount'] == 0, found
    for arn in policy, READ_ONLY:
        iam.attach_role_policy(**ROLE, PolicyArn=arn)
    iam.put_role_policy(**ROLE, PolicyName='inline', PolicyDocument=READ)
    iam.create_instance_profile(**PROFILE, Path='/', Tags=tags())
    iam.get_waiter('instance_profile_exists').wait(**PROFILE)
    iam.add_role_to_instance_profile(**PROFILE, **ROLE)
    seen = refreshed(read)
    assert sorted(seen['attached']) == sorted([policy, READ_ONLY]), seen
    assert seen['inline'] == {'inline': json.loads(READ)}, seen
    profile = refreshed(lambda: iam.get_instance_profile(**PROFILE)['InstanceProfile'])
    assert only(profile['Roles'])['RoleName'] == NAME and profile['Tags'] == tags(), profile

    # Updates in place, also of the policy: a new version, the old one goes.
    principal = f"arn:aws:iam::{who['Account']}:root"
    iam.update_assume_role_policy(**ROLE, PolicyDocument=document(
        'sts:AssumeRole', Principal={'AWS': principal}))
    iam.update_role_description(**ROLE, Description='changed')
    iam.update_role(**ROLE, MaxSessionDuration=7200)
    iam.put_role_permissions_boundary(**ROLE, PermissionsBoundary=READ_ONLY)
    iam.tag_role(**ROLE, Tags=[{'Key': 'Stage', 'Value': 'test'}])
    iam.untag_role(**ROLE, TagKeys=['Name'])
    seen = refreshed(read)['role']
    assert seen['AssumeRolePolicyDocument']['Statement'][0]['Principal']['AWS'] == principal, seen
    assert seen['MaxSessionDuration'] == 7200, seen
    assert seen['PermissionsBoundary']['PermissionsBoundaryArn'] == READ_ONLY, seen
    assert seen['Tags'] == [{'Key': 'Stage', 'Value': 'test'}], seen
    iam.delete_role_permissions_boundary(**ROLE)
    iam.create_policy_version(
        PolicyArn=policy, PolicyDocument=document('ec2:*', Resource='*'), SetAsDefault=True)
    versions = iam.list_policy_versions(PolicyArn=policy)['Versions']
    old = only([one for one in versions if not one['IsDefaultVersion']])
    iam.delete_policy_version(PolicyArn=policy, VersionId=old['VersionId'])
    assert refreshed(read_policy)[0]['DefaultVersionId'] == 'v2'

    # The destroy: what is in the way is said to be, and what is gone is gone.
    refused('DeleteConflict', iam.delete_role, **ROLE)
    refused('DeleteConflict', iam.delete_policy, PolicyArn=policy)
    for one in iam.list_instance_profiles_for_role(**ROLE)['InstanceProfiles']:
        iam.remove_role_from_instance_profile(
            InstanceProfileName=one['InstanceProfileName'], **ROLE)
    refused('NoSuchEntity', iam.remove_role_from_instance_profile, **PROFILE, **ROLE)
    iam.delete_instance_profile(**PROFILE)
    refused('NoSuchEntity', iam.get_instance_profile, **PROFILE)
    for arn in policy, READ_ONLY:
        iam.detach_role_policy(**ROLE, PolicyArn=arn)
        refused('NoSuchEntity', iam.detach_role_policy, **ROLE, PolicyArn=arn)
    iam.delete_role_policy(**ROLE, PolicyName='inline')
    refused('NoSuchEntity', iam.get_role_policy, **ROLE, PolicyName='inline')
    iam.delete_role(**ROLE)
    refused('NoSuchEntity', iam.get_role, **ROLE)
    refused('NoSuchEntity', iam.list_instance_profiles_for_role, **ROLE)
    iam.delete_policy(PolicyArn=policy)
    refused('NoSuchEntity', iam.get_policy, PolicyArn=policy)
    refused('NoSuchEntity', iam.delete_policy, PolicyArn=policy)
