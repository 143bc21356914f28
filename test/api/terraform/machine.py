# aws_instance with what it asks of others, and what Packer's amazon-ebs asks before it makes an image.

import base64
import json

from cloud import ec2, iam, instance, network, only, reach, refreshed, refused, tagged, tags, until
from cloud import where, wish

TRUST = json.dumps({'Version': '2012-10-17', 'Statement': [{
    'Effect': 'Allow', 'Action': 'sts:AssumeRole',
    'Principal': {'Service': 'ec2.amazonaws.com'}}]})
SCRIPT = base64.b64encode(b'#!/bin/sh\n').decode()


def attribute(id, name):
    answer = ec2.describe_instance_attribute(InstanceId=id, Attribute=name)
    return answer[name[0].upper() + name[1:]].get('Value')


def aws_instance():
    vpc, [subnet], end = network('10.213')
    group = ec2.create_security_group(
        GroupName='tf-instance', Description='x', VpcId=vpc)['GroupId']
    iam.create_role(RoleName='tf-instance', AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName='tf-instance')
    iam.add_role_to_instance_profile(InstanceProfileName='tf-instance', RoleName='tf-instance')

    def read():
        shown = instance(id)
        type = only(ec2.describe_instance_types(
            InstanceTypes=[shown['InstanceType']])['InstanceTypes'])
        vpc = only(ec2.describe_vpcs(VpcIds=[shown['VpcId']])['Vpcs'])
        credits = only(ec2.describe_instance_credit_specifications(
            InstanceIds=[id])['InstanceCreditSpecifications'])
        return {
            'instance': shown, 'burstable': type['BurstablePerformanceSupported'],
            'usual': vpc['IsDefault'], 'credits': credits['CpuCredits'],
            **{name: attribute(id, name) for name in (
                'instanceInitiatedShutdownBehavior', 'disableApiStop', 'disableApiTermination',
                'userData')},
        }

    image = only(ec2.describe_images(ImageIds=[wish['image']])['Images'])
    assert image['RootDeviceName'], image
    id = ec2.run_instances(
        ImageId=wish['image'], InstanceType='t3.micro', MinCount=1, MaxCount=1,
        ClientToken='terraform-20261126070000000000000001', DisableApiStop=False,
        DisableApiTermination=False, EbsOptimized=False, Monitoring={'Enabled': False},
        CreditSpecification={'CpuCredits': 'unlimited'}, InstanceInitiatedShutdownBehavior='stop',
        MaintenanceOptions={'AutoRecovery': 'default'}, EnclaveOptions={'Enabled': False},
        CapacityReservationSpecification={'CapacityReservationPreference': 'open'},
        MetadataOptions={'HttpEndpoint': 'enabled', 'HttpTokens': 'required'},
        PrivateDnsNameOptions={'HostnameType': 'ip-name'},
        Placement={'AvailabilityZone': 'mallee-1-a', 'Tenancy': 'default'},
        NetworkInterfaces=[{'DeviceIndex': 0, 'AssociatePublicIpAddress': True,
                            'SubnetId': subnet, 'Groups': [group]}],
        TagSpecifications=tagged('instance'))['Instances'][0]['InstanceId']
    reach(id, 'running')
    seen = refreshed(read)
    shown = seen['instance']
    for part in ('CapacityReservationSpecification', 'CpuOptions', 'EnclaveOptions',
                 'MaintenanceOptions', 'MetadataOptions', 'Monitoring', 'Placement',
                 'PrivateDnsNameOptions', 'PublicIpAddress', 'PrivateDnsName'):
        assert shown[part], part
    assert shown['Tags'] == tags() and shown['BlockDeviceMappings'] == [], shown
    card = only(shown['NetworkInterfaces'])
    assert card['Attachment']['DeviceIndex'] == 0 and card['SourceDestCheck'], card
    # What associate_public_ip_address is read from: without it the instance would be made anew.
    assert card['Association']['PublicIp'] == shown['PublicIpAddress'], card
    assert seen['burstable'] and not seen['usual'] and seen['credits'] == 'unlimited', seen
    assert seen['userData'] is None and not seen['disableApiStop'], seen

    # Updates in place: profile, groups and check of the interface, tags, monitoring, metadata.
    found = ec2.describe_iam_instance_profile_associations(Filters=where(instance_id=id))
    assert found['IamInstanceProfileAssociations'] == [], found
    ec2.associate_iam_instance_profile(
        InstanceId=id, IamInstanceProfile={'Name': 'tf-instance'})
    until('it has the profile', lambda: instance(id).get('IamInstanceProfile', {}).get(
        'Arn', '').endswith('/tf-instance'))
    ec2.modify_instance_attribute(InstanceId=id, SourceDestCheck={'Value': False})
    usual = only(ec2.describe_security_groups(
        Filters=[*where(vpc_id=vpc), *where(group_name='default')])['SecurityGroups'])['GroupId']
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=card['NetworkInterfaceId'], Groups=[group, usual])
    ec2.create_tags(Resources=[id], Tags=[{'Key': 'Stage', 'Value': 'test'}])
    ec2.monitor_instances(InstanceIds=[id])
    ec2.modify_instance_metadata_options(
        InstanceId=id, HttpTokens='optional', HttpEndpoint='enabled', HttpPutResponseHopLimit=2)
    until('its metadata options are applied', lambda: instance(
        id)['MetadataOptions']['State'] == 'applied')
    ec2.modify_instance_attribute(InstanceId=id, DisableApiTermination={'Value': True})
    seen = refreshed(read)
    assert len(seen['instance']['SecurityGroups']) == 2 and seen['disableApiTermination'], seen
    assert not seen['instance']['SourceDestCheck'], seen
    assert seen['instance']['Monitoring']['State'] == 'enabled', seen

    # Another type and user data: stop, modify, start.
    ec2.stop_instances(InstanceIds=[id])
    reach(id, 'stopped')
    ec2.modify_instance_attribute(InstanceId=id, InstanceType={'Value': 't3.small'})
    ec2.modify_instance_attribute(InstanceId=id, UserData={'Value': base64.b64decode(SCRIPT)})
    ec2.start_instances(InstanceIds=[id])
    reach(id, 'running')
    seen = refreshed(read)
    assert seen['instance']['InstanceType'] == 't3.small' and seen['userData'] == SCRIPT, seen

    # The destroy takes the protection away first.
    refused('OperationNotPermitted', ec2.terminate_instances, InstanceIds=[id])
    for name in 'DisableApiTermination', 'DisableApiStop':
        ec2.modify_instance_attribute(InstanceId=id, **{name: {'Value': False}})
    ec2.terminate_instances(InstanceIds=[id])
    reach(id, 'terminated')
    refused('IncorrectInstanceState', ec2.modify_instance_attribute, InstanceId=id,
            InstanceType={'Value': 't3.nano'})
    ec2.terminate_instances(InstanceIds=[id])
    refused('InvalidInstanceID.NotFound', ec2.describe_instances,
            InstanceIds=['i-0123456789abcdef0'])
    iam.remove_role_from_instance_profile(
        InstanceProfileName='tf-instance', RoleName='tf-instance')
    iam.delete_instance_profile(InstanceProfileName='tf-instance')
    iam.delete_role(RoleName='tf-instance')
    ec2.delete_security_group(GroupId=group)
    end()


def packer():
    """amazon-ebs up to the image, which cannot be made of an instance whose disk is its host's."""
    vpc, [subnet], end = network('10.214')
    name = 'packer-of-the-test'
    ec2.describe_regions()
    assert ec2.describe_images(Filters=where(name=name), Owners=['self'])['Images'] == []
    found = ec2.describe_images(Owners=['self'], Filters=[
        *where(virtualization_type='hvm'), *where(architecture='x86_64')])['Images']
    assert wish['image'] in [one['ImageId'] for one in found], found
    assert ec2.describe_instance_type_offerings(
        LocationType='availability-zone',
        Filters=where(instance_type='t3.nano'))['InstanceTypeOfferings']
    ec2.describe_vpcs(Filters=where(is_default='true'))
    assert ec2.describe_subnets(SubnetIds=[subnet])['Subnets'][0]['VpcId'] == vpc
    assert 'PRIVATE KEY' in ec2.create_key_pair(KeyName=name)['KeyMaterial']
    group = ec2.create_security_group(
        GroupName=name, Description='Temporary group for Packer', VpcId=vpc)['GroupId']
    ec2.get_waiter('security_group_exists').wait(GroupIds=[group])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {'IpProtocol': 'tcp', 'FromPort': 22, 'ToPort': 22,
         'IpRanges': [{'CidrIp': '0.0.0.0/0'}]}])
    id = ec2.run_instances(
        ImageId=wish['image'], InstanceType='t3.nano', MinCount=1, MaxCount=1, KeyName=name,
        EbsOptimized=False, NetworkInterfaces=[{
            'DeviceIndex': 0, 'AssociatePublicIpAddress': True, 'SubnetId': subnet,
            'Groups': [group], 'DeleteOnTermination': True}],
        TagSpecifications=[{'ResourceType': 'instance', 'Tags': [
            {'Key': 'Name', 'Value': 'Packer Builder'}]}])['Instances'][0]['InstanceId']
    reach(id, 'running')
    ec2.get_waiter('instance_running').wait(InstanceIds=[id])
    assert instance(id)['PublicIpAddress']
    assert ec2.describe_tags(Filters=where(resource_id=id))['Tags']
    ec2.get_console_output(InstanceId=id)
    ec2.stop_instances(InstanceIds=[id])
    reach(id, 'stopped')
    ec2.get_waiter('instance_stopped').wait(InstanceIds=[id])
    # Its root is a disk of its host's: AWS makes images of those by bundles, too.
    refused('InvalidParameterValue', ec2.create_image, InstanceId=id, Name=name)
    ec2.terminate_instances(InstanceIds=[id])
    reach(id, 'terminated')
    ec2.get_waiter('instance_terminated').wait(InstanceIds=[id])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName=name)
    end()
