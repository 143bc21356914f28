# What leads to a customer's own device: aws_customer_gateway, aws_vpn_gateway,
# aws_vpn_gateway_attachment, aws_vpn_gateway_route_propagation.

from cloud import ec2, only, refreshed, refused, tagged, tags, until

DEVICE = {'Type': 'ipsec.1', 'BgpAsn': 65001, 'IpAddress': '192.0.2.44'}


def customer_gateway():
    id = ec2.create_customer_gateway(
        TagSpecifications=tagged('customer-gateway'), **DEVICE)['CustomerGateway']['CustomerGatewayId']

    def read():
        return only(ec2.describe_customer_gateways(CustomerGatewayIds=[id])['CustomerGateways'])

    until('available', lambda: read()['State'] == 'available')
    seen = refreshed(read)
    assert seen['BgpAsn'] == '65001' and seen['IpAddress'] == DEVICE['IpAddress'], seen
    assert seen['Type'] == 'ipsec.1' and 'CertificateArn' not in seen, seen
    assert seen['Tags'] == tags(), seen
    return id, read


def vpn_gateway():
    # The provider sends what is not configured as an empty text.
    id = ec2.create_vpn_gateway(
        Type='ipsec.1', AvailabilityZone='',
        TagSpecifications=tagged('vpn-gateway'))['VpnGateway']['VpnGatewayId']

    def read():
        return only(ec2.describe_vpn_gateways(VpnGatewayIds=[id])['VpnGateways'])

    seen = refreshed(read)
    assert seen['AmazonSideAsn'] == 64512 and seen['State'] == 'available', seen
    assert seen['VpcAttachments'] == [] and seen['Tags'] == tags(), seen
    return id, read


def gateways():
    vpc = ec2.create_vpc(CidrBlock='10.229.0.0/20')['Vpc']['VpcId']
    table = ec2.create_route_table(VpcId=vpc)['RouteTable']['RouteTableId']
    customer, read_customer = customer_gateway()
    gateway, read = vpn_gateway()

    def attached():
        return [one for one in read()['VpcAttachments']
                if one['VpcId'] == vpc and one['State'] == 'attached']

    def propagating():
        shown = only(ec2.describe_route_tables(RouteTableIds=[table])['RouteTables'])
        return [one['GatewayId'] for one in shown['PropagatingVgws']]

    propagation = {'GatewayId': gateway, 'RouteTableId': table}
    # Asked again by the provider until the gateway is attached.
    refused('Gateway.NotAttached', ec2.enable_vgw_route_propagation, **propagation)
    ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=vpc)
    until('attached', attached)
    ec2.enable_vgw_route_propagation(**propagation)
    assert refreshed(propagating) == [gateway]
    ec2.create_tags(Resources=[gateway], Tags=tags(more='yes'))
    assert read()['Tags'] == tags(more='yes')
    # The destroy, each with what the provider takes for gone.
    ec2.disable_vgw_route_propagation(**propagation)
    assert propagating() == []
    refused('IncorrectState', ec2.delete_vpn_gateway, VpnGatewayId=gateway)
    ec2.detach_vpn_gateway(VpnGatewayId=gateway, VpcId=vpc)
    until('detached', lambda: not attached())
    refused('InvalidVpnGatewayAttachment.NotFound', ec2.detach_vpn_gateway,
            VpnGatewayId=gateway, VpcId=vpc)
    ec2.delete_vpn_gateway(VpnGatewayId=gateway)
    assert read()['State'] == 'deleted'
    refused('InvalidVpnGatewayID.NotFound', ec2.delete_vpn_gateway, VpnGatewayId=gateway)
    ec2.delete_customer_gateway(CustomerGatewayId=customer)
    until('deleted', lambda: read_customer()['State'] == 'deleted')
    refused('InvalidCustomerGatewayID.NotFound', ec2.delete_customer_gateway,
            CustomerGatewayId=customer)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_vpc(VpcId=vpc)
