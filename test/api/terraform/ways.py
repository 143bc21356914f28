# What nearly every configuration has around an instance: aws_subnet, aws_internet_gateway,
# aws_route_table with routes and an association, aws_nat_gateway, aws_key_pair.

from cloud import ec2, no_interfaces, only, refreshed, refused, tagged, tags, until, where

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQWQx7WoYmYJ22t3pJByVNcOQzZ5Gc3ROzl1OLedzZg tf'


def subnet_of(id):
    return only(ec2.describe_subnets(SubnetIds=[id])['Subnets'])


def subnet(vpc, ipv6):
    id = ec2.create_subnet(
        VpcId=vpc, CidrBlock='10.217.0.0/24', AvailabilityZone='mallee-1-a',
        Ipv6CidrBlock=ipv6.replace('::/56', '::/64'),
        TagSpecifications=tagged('subnet'))['Subnet']['SubnetId']
    until('available', lambda: subnet_of(id)['State'] == 'available')
    # One attribute a request, and each is waited for.
    for name, value in (
            ('AssignIpv6AddressOnCreation', True), ('MapPublicIpOnLaunch', True)):
        ec2.modify_subnet_attribute(SubnetId=id, **{name: {'Value': value}})
        until(name, lambda: subnet_of(id)[name] == value)
    ec2.modify_subnet_attribute(SubnetId=id, PrivateDnsHostnameTypeOnLaunch='resource-name')
    seen = refreshed(lambda: subnet_of(id))
    assert seen['PrivateDnsNameOptionsOnLaunch']['HostnameType'] == 'resource-name', seen
    assert only(seen['Ipv6CidrBlockAssociationSet'])['Ipv6CidrBlockState']['State'] == 'associated'
    assert not seen['EnableDns64'] and not seen['Ipv6Native'] and seen['SubnetArn'], seen
    assert seen['Tags'] == tags(), seen
    return id


def gateway(vpc):
    id = ec2.create_internet_gateway(
        TagSpecifications=tagged('internet-gateway'))['InternetGateway']['InternetGatewayId']

    def read():
        return only(ec2.describe_internet_gateways(InternetGatewayIds=[id])['InternetGateways'])

    ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=vpc)
    until('attached', lambda: [one for one in read()['Attachments'] if one['State'] == 'available'])
    assert only(refreshed(read)['Attachments'])['VpcId'] == vpc
    return id


def route_table(vpc, subnet, gateway):
    id = ec2.create_route_table(
        VpcId=vpc, TagSpecifications=tagged('route-table'))['RouteTable']['RouteTableId']

    def read():
        return only(ec2.describe_route_tables(RouteTableIds=[id])['RouteTables'])

    def routes():
        return [one for one in read()['Routes'] if one.get('GatewayId') != 'local']

    ec2.create_route(RouteTableId=id, DestinationCidrBlock='0.0.0.0/0', GatewayId=gateway)
    ec2.create_route(RouteTableId=id, DestinationIpv6CidrBlock='::/0', GatewayId=gateway)
    until('both routes are there', lambda: [one['State'] for one in routes()] == ['active'] * 2)
    tied = ec2.associate_route_table(RouteTableId=id, SubnetId=subnet)['AssociationId']
    until('associated', lambda: only(
        read()['Associations'])['AssociationState']['State'] == 'associated')
    seen = refreshed(read)
    assert seen['PropagatingVgws'] == [] and seen['Tags'] == tags(), seen
    assert {one['Origin'] for one in seen['Routes']} == {'CreateRouteTable', 'CreateRoute'}, seen
    # An update in place: a route goes.
    ec2.delete_route(RouteTableId=id, DestinationIpv6CidrBlock='::/0')
    refused('InvalidRoute.NotFound', ec2.delete_route, RouteTableId=id,
            DestinationIpv6CidrBlock='::/0')
    assert len(routes()) == 1
    return id, tied


def nat_gateway(subnet):
    address = ec2.allocate_address(Domain='vpc')['AllocationId']
    id = ec2.create_nat_gateway(
        ClientToken='terraform-20261126070000000000000002', SubnetId=subnet, AllocationId=address,
        ConnectivityType='public',
        TagSpecifications=tagged('natgateway'))['NatGateway']['NatGatewayId']

    def read():
        return only(ec2.describe_nat_gateways(NatGatewayIds=[id])['NatGateways'])

    until('available', lambda: read()['State'] == 'available')
    first = only(refreshed(read)['NatGatewayAddresses'])
    assert first['AllocationId'] == address, first
    assert first['PublicIp'] and first['PrivateIp'] and first['NetworkInterfaceId'], first
    ec2.delete_nat_gateway(NatGatewayId=id)
    until('deleted', lambda: read()['State'] == 'deleted')
    refused('NatGatewayNotFound', ec2.describe_nat_gateways,
            NatGatewayIds=['nat-0123456789abcdef0'])
    ec2.release_address(AllocationId=address)


def key_pair():
    made = ec2.import_key_pair(
        KeyName='tf-key', PublicKeyMaterial=KEY.encode(), TagSpecifications=tagged('key-pair'))

    def read():
        return only(ec2.describe_key_pairs(
            KeyNames=['tf-key'], IncludePublicKey=True)['KeyPairs'])

    seen = refreshed(read)
    assert seen['KeyPairId'] == made['KeyPairId'] and seen['KeyType'] == 'ed25519', seen
    assert seen['PublicKey'].split()[:2] == KEY.split()[:2], seen
    assert seen['KeyFingerprint'] == made['KeyFingerprint'], seen
    ec2.delete_key_pair(KeyName='tf-key')
    refused('InvalidKeyPair.NotFound', ec2.describe_key_pairs, KeyNames=['tf-key'])


def ways():
    made = ec2.create_vpc(CidrBlock='10.217.0.0/20', AmazonProvidedIpv6CidrBlock=True)['Vpc']
    vpc = made['VpcId']
    ipv6 = until('its IPv6 block', lambda: [
        one['Ipv6CidrBlock'] for one in only(ec2.describe_vpcs(
            VpcIds=[vpc])['Vpcs'])['Ipv6CidrBlockAssociationSet']
        if one['Ipv6CidrBlockState']['State'] == 'associated'])[0]
    inside, out = subnet(vpc, ipv6), gateway(vpc)
    table, tied = route_table(vpc, inside, out)
    nat_gateway(inside)
    key_pair()
    # The destroy, each with what the provider takes for gone.
    refused('DependencyViolation', ec2.delete_route_table, RouteTableId=table)
    ec2.disassociate_route_table(AssociationId=tied)
    refused('InvalidAssociationID.NotFound', ec2.disassociate_route_table, AssociationId=tied)
    ec2.delete_route_table(RouteTableId=table)
    refused('InvalidRouteTableID.NotFound', ec2.describe_route_tables, RouteTableIds=[table])
    until('no interface is left', lambda: no_interfaces(subnet_id=inside))
    ec2.delete_subnet(SubnetId=inside)
    refused('InvalidSubnetID.NotFound', ec2.describe_subnets, SubnetIds=[inside])
    refused('InvalidSubnetID.NotFound', ec2.delete_subnet, SubnetId=inside)
    refused('DependencyViolation', ec2.delete_internet_gateway, InternetGatewayId=out)
    ec2.detach_internet_gateway(InternetGatewayId=out, VpcId=vpc)
    refused('Gateway.NotAttached', ec2.detach_internet_gateway, InternetGatewayId=out, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=out)
    refused('InvalidInternetGatewayID.NotFound', ec2.delete_internet_gateway,
            InternetGatewayId=out)
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_vpcs(Filters=where(vpc_id=vpc))['Vpcs'] == []
