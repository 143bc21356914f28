# aws_vpc, aws_security_group with its rules, aws_eip with its association.

from cloud import ec2, instance, network, no_interfaces, only, reach, refreshed, refused, tagged
from cloud import tags, until, where, wish


def attribute(vpc, name):
    answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
    return answer[name[0].upper() + name[1:]]['Value']


def vpc():
    def read():
        of = where(vpc_id=id)
        shown = only(ec2.describe_vpcs(VpcIds=[id])['Vpcs'])
        main = [*of, *where(**{'association.main': 'true'})]
        return {
            'vpc': shown,
            'attributes': [attribute(id, name) for name in (
                'enableDnsHostnames', 'enableDnsSupport', 'enableNetworkAddressUsageMetrics')],
            'acl': only(ec2.describe_network_acls(
                Filters=[*of, *where(default='true')])['NetworkAcls'])['NetworkAclId'],
            'table': only(ec2.describe_route_tables(Filters=main)['RouteTables'])['RouteTableId'],
            'group': only(ec2.describe_security_groups(
                Filters=[*of, *where(group_name='default')])['SecurityGroups'])['GroupId'],
        }

    made = ec2.create_vpc(
        CidrBlock='10.210.0.0/20', InstanceTenancy='default', AmazonProvidedIpv6CidrBlock=True,
        TagSpecifications=tagged('vpc'))['Vpc']
    id = made['VpcId']
    until('available', lambda: only(
        ec2.describe_vpcs(VpcIds=[id])['Vpcs'])['State'] == 'available')
    until('its IPv6 block is there', lambda: [one for one in only(
        ec2.describe_vpcs(VpcIds=[id])['Vpcs'])['Ipv6CidrBlockAssociationSet']
        if one['Ipv6CidrBlockState']['State'] == 'associated'])
    ec2.modify_vpc_attribute(VpcId=id, EnableDnsHostnames={'Value': True})
    until('hostnames', lambda: attribute(id, 'enableDnsHostnames'))
    seen = refreshed(read)
    assert seen['attributes'] == [True, True, False], seen
    # Another name would be a diff of assign_generated_ipv6_cidr_block for ever.
    assert seen['vpc']['Ipv6CidrBlockAssociationSet'][0]['Ipv6Pool'] == 'Amazon', seen
    border = seen['vpc']['Ipv6CidrBlockAssociationSet'][0]['NetworkBorderGroup']
    assert seen['vpc']['DhcpOptionsId'] and seen['vpc']['OwnerId'], seen
    # An update in place: attributes, tags, and another block.
    ec2.modify_vpc_attribute(VpcId=id, EnableDnsSupport={'Value': False})
    until('no DNS', lambda: not attribute(id, 'enableDnsSupport'))
    ec2.create_tags(Resources=[id], Tags=tags(Stage='test'))
    ec2.delete_tags(Resources=[id], Tags=tags())
    association = seen['vpc']['Ipv6CidrBlockAssociationSet'][0]['AssociationId']
    ec2.disassociate_vpc_cidr_block(AssociationId=association)
    until('no IPv6', lambda: not [one for one in only(
        ec2.describe_vpcs(VpcIds=[id])['Vpcs']).get('Ipv6CidrBlockAssociationSet', [])
        if one['Ipv6CidrBlockState']['State'] == 'associated'])
    again = ec2.associate_vpc_cidr_block(
        VpcId=id, AmazonProvidedIpv6CidrBlock=True,
        Ipv6CidrBlockNetworkBorderGroup=border)['Ipv6CidrBlockAssociation']['AssociationId']
    until('IPv6 again', lambda: [one for one in only(
        ec2.describe_vpcs(VpcIds=[id])['Vpcs'])['Ipv6CidrBlockAssociationSet']
        if one['AssociationId'] == again and one['Ipv6CidrBlockState']['State'] == 'associated'])
    seen = refreshed(read)
    assert seen['vpc']['Tags'] == [{'Key': 'Stage', 'Value': 'test'}], seen
    assert seen['attributes'] == [True, False, False], seen
    # What is in it keeps it; then it goes, and is not found.
    subnet = ec2.create_subnet(VpcId=id, CidrBlock='10.210.1.0/24')['Subnet']['SubnetId']
    refused('DependencyViolation', ec2.delete_vpc, VpcId=id)
    ec2.delete_subnet(SubnetId=subnet)
    refused('InvalidSubnetID.NotFound', ec2.describe_subnets, SubnetIds=[subnet])
    ec2.delete_vpc(VpcId=id)
    refused('InvalidVpcID.NotFound', ec2.describe_vpcs, VpcIds=[id])
    refused('InvalidVpcID.NotFound', ec2.delete_vpc, VpcId=id)
    assert ec2.describe_vpcs(Filters=where(vpc_id=id))['Vpcs'] == []


def security_group():
    vpc, _, end = network('10.211')

    def find():
        return only(ec2.describe_security_groups(GroupIds=[id])['SecurityGroups'])

    everything = {'IpProtocol': '-1', 'FromPort': 0, 'ToPort': 0}
    web = {'IpProtocol': 'tcp', 'FromPort': 443, 'ToPort': 443,
           'IpRanges': [{'CidrIp': '192.0.2.0/24', 'Description': 'web'}],
           'Ipv6Ranges': [{'CidrIpv6': '2001:db8::/32', 'Description': 'web'}]}
    id = ec2.create_security_group(
        GroupName='tf-group', Description='Managed by Terraform', VpcId=vpc,
        TagSpecifications=tagged('security-group'))['GroupId']
    until('it is there', find)
    # The rule that every group begins with, in either family: the second may not be there.
    ec2.revoke_security_group_egress(
        GroupId=id, IpPermissions=[{**everything, 'IpRanges': [{'CidrIp': '0.0.0.0/0'}]}])
    refused('InvalidPermission.NotFound', ec2.revoke_security_group_egress, GroupId=id,
            IpPermissions=[{**everything, 'Ipv6Ranges': [{'CidrIpv6': '::/0'}]}])
    ec2.authorize_security_group_ingress(GroupId=id, IpPermissions=[web])
    ec2.authorize_security_group_egress(GroupId=id, IpPermissions=[
        {**everything, 'UserIdGroupPairs': [{'GroupId': id}]}])
    seen = refreshed(find)
    assert [one['FromPort'] for one in seen['IpPermissions']] == [443], seen
    # Ports of all protocols would be a diff: the provider has 0 for none.
    assert not any('FromPort' in one for one in seen['IpPermissionsEgress']), seen
    pair = only(only(seen['IpPermissionsEgress'])['UserIdGroupPairs'])
    assert pair['GroupId'] == id and pair['UserId'] == seen['OwnerId'], seen
    # An update in place: a rule goes and another one comes; aws_vpc_security_group_ingress_rule.
    ec2.revoke_security_group_ingress(GroupId=id, IpPermissions=[web])
    made = only(ec2.authorize_security_group_ingress(GroupId=id, IpPermissions=[
        {'IpProtocol': 'tcp', 'FromPort': 80, 'ToPort': 80,
         'IpRanges': [{'CidrIp': '192.0.2.0/24'}]}],
        TagSpecifications=tagged('security-group-rule'))['SecurityGroupRules'])
    rule = made['SecurityGroupRuleId']

    def read_rule():
        return only(ec2.describe_security_group_rules(
            SecurityGroupRuleIds=[rule])['SecurityGroupRules'])

    assert refreshed(read_rule)['Tags'] == tags()
    ec2.modify_security_group_rules(GroupId=id, SecurityGroupRules=[
        {'SecurityGroupRuleId': rule, 'SecurityGroupRule': {
            'IpProtocol': 'tcp', 'FromPort': 80, 'ToPort': 88, 'CidrIpv4': '192.0.2.0/24',
            'Description': 'more'}}])
    assert refreshed(read_rule)['ToPort'] == 88
    ec2.revoke_security_group_ingress(GroupId=id, SecurityGroupRuleIds=[rule])
    refused('InvalidSecurityGroupRuleId.NotFound', ec2.describe_security_group_rules,
            SecurityGroupRuleIds=[rule])
    # Another group that names it keeps it.
    other = ec2.create_security_group(
        GroupName='tf-other', Description='Managed by Terraform', VpcId=vpc)['GroupId']
    naming = [{'IpProtocol': 'tcp', 'FromPort': 1, 'ToPort': 2,
               'UserIdGroupPairs': [{'GroupId': id}]}]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=naming)
    assert no_interfaces(group_id=id)
    refused('DependencyViolation', ec2.delete_security_group, GroupId=id)
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=naming)
    ec2.delete_security_group(GroupId=other)
    ec2.delete_security_group(GroupId=id)
    refused('InvalidGroup.NotFound', ec2.describe_security_groups, GroupIds=[id])
    refused('InvalidGroup.NotFound', ec2.delete_security_group, GroupId=id)
    end()


def eip():
    _, [subnet], end = network('10.212')
    machine = ec2.run_instances(
        ImageId=wish['image'], InstanceType='t3.nano', MinCount=1, MaxCount=1,
        SubnetId=subnet)['Instances'][0]['InstanceId']

    def read():
        shown = only(ec2.describe_addresses(AllocationIds=[id])['Addresses'])
        of = only(ec2.describe_addresses_attribute(
            AllocationIds=[id], Attribute='domain-name')['Addresses'])
        return shown, of.get('PtrRecord')

    made = ec2.allocate_address(Domain='vpc', TagSpecifications=tagged('elastic-ip'))
    id = made['AllocationId']
    seen, record = refreshed(read)
    assert seen['Tags'] == tags() and record is None, seen
    assert seen['Domain'] == 'vpc' and seen['NetworkBorderGroup'], seen
    assert seen['PublicIpv4Pool'], seen
    # An update in place, which is also aws_eip_association.
    reach(machine, 'running')
    tied = ec2.associate_address(
        AllocationId=id, InstanceId=machine, AllowReassociation=True)['AssociationId']
    until('it is found by its association', lambda: ec2.describe_addresses(
        Filters=where(association_id=tied))['Addresses'])
    seen, _ = refreshed(read)
    assert seen['InstanceId'] == machine and seen['PrivateIpAddress'], seen
    assert instance(machine)['PublicIpAddress'] == made['PublicIp']
    ec2.disassociate_address(AssociationId=tied)
    refused('InvalidAssociationID.NotFound', ec2.disassociate_address, AssociationId=tied)
    assert ec2.describe_addresses(Filters=where(association_id=tied))['Addresses'] == []
    ec2.release_address(AllocationId=id, NetworkBorderGroup=seen['NetworkBorderGroup'])
    refused('InvalidAllocationID.NotFound', ec2.describe_addresses, AllocationIds=[id])
    refused('InvalidAllocationID.NotFound', ec2.release_address, AllocationId=id)
    ec2.terminate_instances(InstanceIds=[machine])
    reach(machine, 'terminated')
    end()
