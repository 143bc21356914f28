# What the second account does, with boto3: its own VPC with one instance, then the peering.
# Prints one JSON object. The endpoint and keys come from the environment.

import json
import os
import sys

import boto3
from botocore.config import Config

ec2 = boto3.client(
    "ec2",
    endpoint_url=os.environ["ENDPOINT"],
    region_name=os.environ["AWS_DEFAULT_REGION"],
    config=Config(retries={"max_attempts": 1}),
)


def launch(zone):
    image = ec2.register_image(Name="guest", ImageLocation="mallee-guest")["ImageId"]
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/20", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    vpc_id = vpc["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc_id])
    described = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    ipv6 = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    subnet = ec2.create_subnet(
        VpcId=vpc_id,
        CidrBlock="10.60.1.0/24",
        Ipv6CidrBlock=ipv6.replace("/56", "/64"),
        AvailabilityZone=zone,
        TagSpecifications=[
            {"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "second"}]}
        ],
    )["Subnet"]
    group = ec2.create_security_group(
        GroupName="open", Description="everything", VpcId=vpc_id
    )["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "-1",
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            }
        ],
    )
    instance = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.nano",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet["SubnetId"],
                "Groups": [group],
                "Ipv6AddressCount": 1,
            }
        ],
    )["Instances"][0]
    card = instance["NetworkInterfaces"][0]
    return {
        "vpc": vpc_id,
        "id": instance["InstanceId"],
        "ipv4": instance["PrivateIpAddress"],
        "ipv6": card["Ipv6Addresses"][0]["Ipv6Address"],
        "cidr": "10.60.0.0/20",
    }


def seen():
    reservations = ec2.describe_instances()["Reservations"]
    return {
        "instances": [i["InstanceId"] for r in reservations for i in r["Instances"]],
        "vpcs": [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]],
    }


def ask(vpc, peer_vpc, peer_owner):
    answer = ec2.create_vpc_peering_connection(
        VpcId=vpc, PeerVpcId=peer_vpc, PeerOwnerId=peer_owner
    )
    return {"id": answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]}


def route(vpc, cidr, peering):
    table = ec2.describe_route_tables(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
    )["RouteTables"][0]["RouteTableId"]
    ec2.create_route(
        RouteTableId=table, DestinationCidrBlock=cidr, VpcPeeringConnectionId=peering
    )
    return {"table": table}


def foreign(instance):
    try:
        ec2.terminate_instances(InstanceIds=[instance])
    except ec2.exceptions.ClientError as error:
        return {"code": error.response["Error"]["Code"]}
    return {"code": "accepted"}


calls = {"launch": launch, "seen": seen, "ask": ask, "route": route, "foreign": foreign}
print(json.dumps(calls[sys.argv[1]](*sys.argv[2:])))
