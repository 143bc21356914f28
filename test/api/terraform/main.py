# One resource's life, from create to destroy, by its name; how the cloud is reached is in the JSON on
# standard input. It prints nothing and ends well, or says what was not as the provider needs it.

from cloud import wish

import balancer
import bucket
import machine
import network
import objects
import role
import volumes
import vpn
import ways

LIVES = {
    'aws_vpc': network.vpc,
    'ways': ways.ways,
    'aws_security_group': network.security_group,
    'aws_eip': network.eip,
    'aws_instance': machine.aws_instance,
    'packer': machine.packer,
    'aws_ebs_volume': volumes.aws_ebs_volume,
    'aws_vpn_gateway': vpn.gateways,
    'aws_iam_role': role.iam_role,
    'aws_lb': balancer.network_lb,
    'aws_autoscaling_group': balancer.autoscaling_group,
    'aws_s3_bucket': bucket.bucket,
    'aws_s3_object': objects.aws_s3_object,
}

LIVES[wish['name']]()
