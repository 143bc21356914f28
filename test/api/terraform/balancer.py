# aws_lb of the type network, aws_lb_target_group, aws_lb_listener and aws_lb_target_group_attachment;
# aws_launch_template and an aws_autoscaling_group whose instances are the targets.

import re

from cloud import ec2, elb, network, only, reach, refreshed, refused, scaling, tagged, tags, until
from cloud import where, wish

NAME = 'tf-lb'


def pairs(attributes):
    return {one['Key']: one['Value'] for one in attributes}


def create_group(name, vpc):
    refused('TargetGroupNotFound', elb.describe_target_groups, Names=[name])
    arn = only(elb.create_target_group(
        Name=name, TargetType='instance', Protocol='TCP', Port=80, VpcId=vpc,
        HealthCheckEnabled=True, HealthCheckIntervalSeconds=30, HealthyThresholdCount=3,
        UnhealthyThresholdCount=3, HealthCheckPort='traffic-port', HealthCheckProtocol='TCP',
        Tags=tags())['TargetGroups'])['TargetGroupArn']
    elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
        {'Key': 'deregistration_delay.timeout_seconds', 'Value': '0'}])
    return arn


def read_group(arn):
    return {
        'group': only(elb.describe_target_groups(TargetGroupArns=[arn])['TargetGroups']),
        'attributes': pairs(elb.describe_target_group_attributes(
            TargetGroupArn=arn)['Attributes']),
        'tags': only(elb.describe_tags(ResourceArns=[arn])['TagDescriptions'])['Tags'],
    }


def read_balancer(arn):
    shown = only(elb.describe_load_balancers(LoadBalancerArns=[arn])['LoadBalancers'])
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)['Attributes']
    return {'balancer': shown, 'attributes': pairs(attributes),
            'tags': only(elb.describe_tags(ResourceArns=[arn])['TagDescriptions'])['Tags']}


def active(arn):
    until('it is active', lambda: read_balancer(arn)['balancer']['State']['Code'] == 'active')


def modify_attributes(arn, attributes):
    """As the provider does: without those of which it is told that nobody knows them."""
    wanted = dict(attributes)
    while wanted:
        try:
            return elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[
                {'Key': key, 'Value': value} for key, value in wanted.items()])
        except elb.exceptions.ClientError as error:
            known = re.search(r"key ['\"]?([^'\" ]+)['\"]? is not (recognized|supported)", str(error))
            if known is None:
                raise
            del wanted[known[1]]


def network_lb():
    vpc, [subnet, far], end = network('10.215', zones=('a', 'b'))
    group = ec2.create_security_group(GroupName=NAME, Description='x', VpcId=vpc)['GroupId']
    machine = ec2.run_instances(
        ImageId=wish['image'], InstanceType='t3.nano', MinCount=1, MaxCount=1,
        SubnetId=subnet)['Instances'][0]['InstanceId']
    refused('LoadBalancerNotFound', elb.describe_load_balancers, Names=[NAME])
    arn = only(elb.create_load_balancer(
        Name=NAME, Type='network', Scheme='internal', SecurityGroups=[group],
        SubnetMappings=[{'SubnetId': subnet}, {'SubnetId': far}],
        Tags=tags())['LoadBalancers'])['LoadBalancerArn']
    active(arn)
    modify_attributes(arn, {
        'access_logs.s3.enabled': 'false', 'deletion_protection.enabled': 'false',
        'load_balancing.cross_zone.enabled': 'false', 'zonal_shift.config.enabled': 'false',
        'dns_record.client_routing_policy': 'any_availability_zone'})
    active(arn)
    seen = refreshed(lambda: read_balancer(arn))
    shown = seen['balancer']
    assert shown['DNSName'] and shown['CanonicalHostedZoneId'] and shown['VpcId'] == vpc, shown
    assert sorted(one['SubnetId'] for one in shown['AvailabilityZones']) == sorted([subnet, far])
    assert shown['IpAddressType'] == 'ipv4' and shown['SecurityGroups'] == [group], shown
    assert seen['attributes']['deletion_protection.enabled'] == 'false', seen
    assert seen['tags'] == tags(), seen
    # Addresses that nobody asked for would be a diff of subnet_mapping.
    assert not any(one.get('LoadBalancerAddresses') for one in shown['AvailabilityZones']), shown

    targets = create_group('tf-targets', vpc)
    assert refreshed(lambda: read_group(targets))['group']['HealthCheckPort'] == 'traffic-port'
    listener = only(elb.create_listener(
        LoadBalancerArn=arn, Protocol='TCP', Port=80, Tags=tags(),
        DefaultActions=[{'Type': 'forward', 'TargetGroupArn': targets}])['Listeners'])['ListenerArn']

    def read_listener():
        shown = only(elb.describe_listeners(ListenerArns=[listener])['Listeners'])
        return shown, only(elb.describe_tags(ResourceArns=[listener])['TagDescriptions'])

    action = only(refreshed(read_listener)[0]['DefaultActions'])
    assert action['Type'] == 'forward' and action['TargetGroupArn'] == targets, action
    reach(machine, 'running')
    target = {'TargetGroupArn': targets, 'Targets': [{'Id': machine, 'Port': 80}]}
    elb.register_targets(**target)

    def health():
        return only(elb.describe_target_health(**target)['TargetHealthDescriptions'])['TargetHealth']

    until('the target is healthy', lambda: health()['State'] == 'healthy')
    assert refreshed(lambda: read_group(targets))['group']['LoadBalancerArns'] == [arn]

    # Updates in place of each.
    modify_attributes(arn, {'load_balancing.cross_zone.enabled': 'true',
                            'deletion_protection.enabled': 'true'})
    elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group])
    elb.add_tags(ResourceArns=[arn], Tags=[{'Key': 'Stage', 'Value': 'test'}])
    elb.remove_tags(ResourceArns=[arn], TagKeys=['Name'])
    active(arn)
    seen = refreshed(lambda: read_balancer(arn))
    assert seen['tags'] == [{'Key': 'Stage', 'Value': 'test'}], seen
    assert seen['attributes']['load_balancing.cross_zone.enabled'] == 'true', seen
    elb.modify_target_group(
        TargetGroupArn=targets, HealthCheckEnabled=True, HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=2, UnhealthyThresholdCount=2, HealthCheckPort='traffic-port',
        HealthCheckProtocol='TCP')
    elb.modify_listener(ListenerArn=listener, Port=81)
    assert refreshed(read_listener)[0]['Port'] == 81

    # The destroy, in which each is asked for once more when it is gone.
    elb.deregister_targets(**target)
    until('the target is out', lambda: health().get('Reason') == 'Target.NotRegistered')
    refused('ResourceInUse', elb.delete_target_group, TargetGroupArn=targets)
    elb.delete_listener(ListenerArn=listener)
    refused('ListenerNotFound', elb.describe_listeners, ListenerArns=[listener])
    elb.delete_target_group(TargetGroupArn=targets)
    refused('TargetGroupNotFound', elb.describe_target_groups, TargetGroupArns=[targets])
    refused('TargetGroupNotFound', elb.describe_target_health, TargetGroupArn=targets)
    refused('OperationNotPermitted', elb.delete_load_balancer, LoadBalancerArn=arn)
    modify_attributes(arn, {'deletion_protection.enabled': 'false'})
    elb.delete_load_balancer(LoadBalancerArn=arn)
    refused('LoadBalancerNotFound', elb.describe_load_balancers, LoadBalancerArns=[arn])
    for owner in 'amazon-elb', 'amazon-aws':
        filters = [*where(**{'attachment.instance-owner-id': owner}),
                   *where(description='ELB ' + arn.split('loadbalancer/')[1])]
        until('its interfaces are gone', lambda: not ec2.describe_network_interfaces(
            Filters=filters)['NetworkInterfaces'])
    ec2.terminate_instances(InstanceIds=[machine])
    reach(machine, 'terminated')
    ec2.delete_security_group(GroupId=group)
    end()


def autoscaling_group():
    vpc, subnets, end = network('10.216', zones=('a', 'b'))
    data = {'ImageId': wish['image'], 'InstanceType': 't3.nano'}
    template = ec2.create_launch_template(
        LaunchTemplateName=NAME, LaunchTemplateData=data,
        TagSpecifications=tagged('launch-template'))['LaunchTemplate']['LaunchTemplateId']

    def read_template():
        shown = only(ec2.describe_launch_templates(
            LaunchTemplateIds=[template])['LaunchTemplates'])
        latest = str(shown['LatestVersionNumber'])
        return shown, only(ec2.describe_launch_template_versions(
            LaunchTemplateId=template, Versions=[latest])['LaunchTemplateVersions'])

    assert refreshed(read_template)[1]['LaunchTemplateData'] == data
    targets = create_group('tf-scaled', vpc)
    named = {'AutoScalingGroupNames': [NAME]}
    group = {'AutoScalingGroupName': NAME}

    def read():
        found = scaling.describe_auto_scaling_groups(**named)['AutoScalingGroups']
        return found[0] if found else None

    def healthy(count):
        """What wait_for_elb_capacity waits for."""
        states = [one['TargetHealth']['State'] for one in elb.describe_target_health(
            TargetGroupArn=targets)['TargetHealthDescriptions']]
        members = [one['LifecycleState'] for one in read()['Instances']]
        # No load balancer uses the target group: nobody checks the targets.
        return members == ['InService'] * count and states == ['unused'] * count

    scaling.create_auto_scaling_group(
        **group, MinSize=1, MaxSize=3, DesiredCapacity=2, HealthCheckGracePeriod=300,
        LaunchTemplate={'LaunchTemplateId': template, 'Version': '$Latest'},
        TargetGroupARNs=[targets], VPCZoneIdentifier=','.join(subnets),
        Tags=[{'ResourceId': NAME, 'ResourceType': 'auto-scaling-group', 'Key': 'Name',
               'Value': NAME, 'PropagateAtLaunch': True}])
    until('its instances serve', lambda: healthy(2))
    seen = refreshed(read)
    assert seen['TargetGroupARNs'] == [targets] and seen['DesiredCapacity'] == 2, seen

    # Updates in place: another version of the template, sizes, the target group.
    ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={**data, 'InstanceType': 't3.micro'})
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion='2')
    assert refreshed(read_template)[0]['DefaultVersionNumber'] == 2
    scaling.update_auto_scaling_group(**group, MinSize=0, DesiredCapacity=1)
    until('it is smaller', lambda: healthy(1))
    scaling.detach_load_balancer_target_groups(**group, TargetGroupARNs=[targets])
    until('no target is left', lambda: not scaling.describe_load_balancer_target_groups(
        **group)['LoadBalancerTargetGroups'])
    assert refreshed(read).get('TargetGroupARNs', []) == []

    # The destroy: it shrinks to nothing, then it goes.
    scaling.update_auto_scaling_group(**group, MinSize=0, MaxSize=0, DesiredCapacity=0)
    until('it is empty', lambda: not read()['Instances'])
    scaling.delete_auto_scaling_group(**group, ForceDelete=False)
    until('it is gone', lambda: read() is None)
    until('its instances are gone', lambda: not ec2.describe_instances(Filters=[
        *where(vpc_id=vpc), {'Name': 'instance-state-name', 'Values': [
            'pending', 'running', 'shutting-down', 'stopping', 'stopped']}])['Reservations'])
    ec2.delete_launch_template(LaunchTemplateId=template)
    refused('InvalidLaunchTemplateId.NotFound', ec2.describe_launch_templates,
            LaunchTemplateIds=[template])
    elb.delete_target_group(TargetGroupArn=targets)
    end()
