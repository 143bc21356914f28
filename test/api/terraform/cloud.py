# What the sequences of Terraform's provider have in common: clients that try once, refusals by their
# code, reads that say the same twice, and waiting for a state as the provider does.

import json
import sys
import time

import boto3
import botocore.config
import botocore.exceptions

wish = json.load(sys.stdin)
config = botocore.config.Config(retries={'max_attempts': 0})
session = boto3.Session(
    aws_access_key_id=wish['key'], aws_secret_access_key=wish['secret'], region_name='mallee-1')
ec2, iam, sts, elb, scaling = [
    session.client(name, endpoint_url=wish['url'], config=config)
    for name in ('ec2', 'iam', 'sts', 'elbv2', 'autoscaling')]
NAME = 'tf-' + wish['name']


def tags(**more):
    return [{'Key': key, 'Value': value} for key, value in {'Name': NAME, **more}.items()]


def tagged(kind):
    return [{'ResourceType': kind, 'Tags': tags()}]


def where(**names):
    """Filters as the provider writes them."""
    return [{'Name': name.replace('_', '-'), 'Values': [value]} for name, value in names.items()]


def refused(code, call, **asked):
    try:
        call(**asked)
    except botocore.exceptions.ClientError as error:
        found = error.response['Error']['Code']
        assert found == code, f'{found}, not {code}: {error}'
        return error.response['Error']['Message']
    raise AssertionError(f'accepted, not {code}')


def only(things):
    assert len(things) == 1, things
    return things[0]


def refreshed(read):
    """What a refresh reads, which a second one must read again: else a plan is never empty."""
    first, second = read(), read()
    assert first == second, f'{first}\nthen\n{second}'
    return first


def until(what, check, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f'never: {what}')


def instance(id):
    shown = ec2.describe_instances(InstanceIds=[id])
    return only(only(shown['Reservations'])['Instances'])


def reach(id, state):
    return until(f'{id} is {state}', lambda: (one := instance(id))['State']['Name'] == state and one)


def network(cidr, zones=('a',)):
    """A VPC with a way out and a subnet in each zone; what ends it."""
    vpc = ec2.create_vpc(CidrBlock=f'{cidr}.0.0/20', TagSpecifications=tagged('vpc'))['Vpc']['VpcId']
    gateway = ec2.create_internet_gateway()['InternetGateway']['InternetGatewayId']
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f'{cidr}.{n}.0/24', AvailabilityZone=f'mallee-1-{zone}',
        )['Subnet']['SubnetId'] for n, zone in enumerate(zones)]

    def end():
        for subnet in subnets:
            ec2.delete_subnet(SubnetId=subnet)
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.delete_internet_gateway(InternetGatewayId=gateway)
        ec2.delete_vpc(VpcId=vpc)

    return vpc, subnets, end


def no_interfaces(**names):
    """The provider deletes a group or a subnet when nobody's interfaces are left in it."""
    shown = ec2.describe_network_interfaces(Filters=where(**names))
    return shown['NetworkInterfaces'] == []
