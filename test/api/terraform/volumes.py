# aws_ebs_volume, aws_volume_attachment, aws_ebs_snapshot, aws_ebs_snapshot_copy,
# aws_snapshot_create_volume_permission and aws_ami_from_instance, one made of the other.

from cloud import NAME, ec2, instance, network, only, reach, refreshed, refused, tagged, tags, until
from cloud import wish

ROOT = '/dev/sda1'
NO_SNAPSHOT = 'InvalidSnapshot.NotFound'


def volume(id):
    return only(ec2.describe_volumes(VolumeIds=[id])['Volumes'])


def snapshot(id):
    return only(ec2.describe_snapshots(SnapshotIds=[id])['Snapshots'])


def image(id):
    return only(ec2.describe_images(ImageIds=[id])['Images'])


def available(id):
    until(f'{id} is available', lambda: volume(id)['State'] == 'available')


def attached(id, to):
    """As the provider finds one attachment again: by volume, instance and device together."""
    found = ec2.describe_volumes(VolumeIds=[id], Filters=[
        {'Name': 'attachment.device', 'Values': ['/dev/sdh']},
        {'Name': 'attachment.instance-id', 'Values': [to]}])['Volumes']
    return [one for each in found for one in each['Attachments'] if one['State'] != 'detached']


def gone(code, call, **asked):
    until(f'{asked} is gone', lambda: code_of(call, **asked) == code)


def code_of(call, **asked):
    try:
        call(**asked)
    except ec2.exceptions.ClientError as error:
        return error.response['Error']['Code']
    return ''


def aws_ebs_volume():
    vpc, [subnet], end = network('10.218')
    made = ec2.create_volume(
        AvailabilityZone='mallee-1-a', Size=8, VolumeType='gp3', Iops=3000, Throughput=125,
        Encrypted=False, ClientToken='terraform-20261126070000000000000002',
        TagSpecifications=tagged('volume'))['VolumeId']
    available(made)
    seen = refreshed(lambda: volume(made))
    assert seen['Tags'] == tags() and seen['Iops'] == 3000 and seen['Throughput'] == 125, seen
    assert seen['SnapshotId'] == '' and not seen['MultiAttachEnabled'], seen

    # aws_ebs_snapshot, and a root of it: the disk of an instance that boots from a volume.
    taken = ec2.create_snapshot(
        VolumeId=made, Description='of the test', TagSpecifications=tagged('snapshot'))['SnapshotId']
    ec2.get_waiter('snapshot_completed').wait(SnapshotIds=[taken], WaiterConfig={'Delay': 1})
    seen = refreshed(lambda: snapshot(taken))
    assert seen['Tags'] == tags() and seen['VolumeSize'] == 8 and seen['VolumeId'] == made, seen
    assert seen['StorageTier'] == 'standard' and not seen['Encrypted'], seen

    # aws_ebs_snapshot_copy.
    copy = ec2.copy_snapshot(
        SourceRegion='mallee-1', SourceSnapshotId=taken, Description='a copy',
        TagSpecifications=tagged('snapshot'))['SnapshotId']
    ec2.get_waiter('snapshot_completed').wait(SnapshotIds=[copy], WaiterConfig={'Delay': 1})
    assert refreshed(lambda: snapshot(copy))['Description'] == 'a copy'

    # aws_snapshot_create_volume_permission.
    allow = {'Attribute': 'createVolumePermission', 'SnapshotId': copy}
    permissions = lambda: ec2.describe_snapshot_attribute(**allow)['CreateVolumePermissions']
    for operation, want in ('add', [{'UserId': wish['other']}]), ('remove', []):
        ec2.modify_snapshot_attribute(**allow, OperationType=operation, UserIds=[wish['other']])
        assert refreshed(permissions) == want, permissions()

    # aws_ami and aws_instance of it, with a volume that it makes.
    root = ec2.register_image(
        Name=NAME, RootDeviceName=ROOT, Architecture='x86_64', VirtualizationType='hvm',
        BlockDeviceMappings=[{'DeviceName': ROOT, 'Ebs': {
            'SnapshotId': copy, 'VolumeSize': 8, 'VolumeType': 'gp3'}}])['ImageId']
    assert refreshed(lambda: image(root))['RootDeviceType'] == 'ebs'
    id = ec2.run_instances(
        ImageId=root, InstanceType='t3.nano', MinCount=1, MaxCount=1, SubnetId=subnet,
        BlockDeviceMappings=[{'DeviceName': ROOT, 'Ebs': {
            'DeleteOnTermination': True, 'VolumeSize': 9, 'Encrypted': True}}],
        TagSpecifications=[*tagged('instance'), *tagged('volume')])['Instances'][0]['InstanceId']
    reach(id, 'running')
    own = only(instance(id)['BlockDeviceMappings'])
    shown = refreshed(lambda: volume(own['Ebs']['VolumeId']))
    assert shown['Encrypted'] and shown['Size'] == 9 and shown['Tags'] == tags(), shown

    # aws_volume_attachment.
    assert attached(made, id) == []
    ec2.attach_volume(Device='/dev/sdh', InstanceId=id, VolumeId=made)
    until('it is attached', lambda: attached(made, id)[0]['State'] == 'attached')
    assert not only(refreshed(lambda: attached(made, id)))['DeleteOnTermination']
    refused('VolumeInUse', ec2.delete_volume, VolumeId=made)

    # An update in place, while it is in use.
    ec2.modify_volume(VolumeId=made, Size=10, VolumeType='gp3', Iops=4000, Throughput=250)
    until('it is modified', lambda: only(ec2.describe_volumes_modifications(
        VolumeIds=[made])['VolumesModifications'])['ModificationState'] == 'completed')
    ec2.create_tags(Resources=[made], Tags=[{'Key': 'Stage', 'Value': 'test'}])
    seen = refreshed(lambda: volume(made))
    assert (seen['Size'], seen['Iops'], seen['Throughput']) == (10, 4000, 250), seen
    refused('VolumeModificationRateExceeded', ec2.modify_volume, VolumeId=made, Size=11)

    # aws_ami_from_instance, with the volume; then what it is made of goes.
    kept = ec2.create_image(
        InstanceId=id, Name=NAME + '-kept', NoReboot=True,
        TagSpecifications=tagged('image'))['ImageId']
    until('the image is available', lambda: image(kept)['State'] == 'available')
    seen = refreshed(lambda: image(kept))
    disks = {one['DeviceName']: one['Ebs'] for one in seen['BlockDeviceMappings']}
    assert sorted(disks) == [ROOT, '/dev/sdh'] and seen['Tags'] == tags(), seen
    assert disks[ROOT]['Encrypted'] and disks['/dev/sdh']['VolumeSize'] == 10, disks
    refused('InvalidSnapshot.InUse', ec2.delete_snapshot, SnapshotId=disks[ROOT]['SnapshotId'])
    ec2.deregister_image(ImageId=kept)
    gone('InvalidAMIID.NotFound', ec2.describe_images, ImageIds=[kept])
    for one in disks.values():
        ec2.delete_snapshot(SnapshotId=one['SnapshotId'])
        refused(NO_SNAPSHOT, ec2.delete_snapshot, SnapshotId=one['SnapshotId'])

    # The destroys.
    ec2.detach_volume(Device='/dev/sdh', InstanceId=id, VolumeId=made)
    until('it is detached', lambda: attached(made, id) == [])
    refused('IncorrectState', ec2.detach_volume, Device='/dev/sdh', InstanceId=id, VolumeId=made)
    ec2.terminate_instances(InstanceIds=[id])
    reach(id, 'terminated')
    gone('InvalidVolume.NotFound', ec2.describe_volumes, VolumeIds=[own['Ebs']['VolumeId']])
    ec2.deregister_image(ImageId=root)
    for one in copy, taken:
        ec2.delete_snapshot(SnapshotId=one)
        refused(NO_SNAPSHOT, ec2.describe_snapshots, SnapshotIds=[one])
    ec2.delete_volume(VolumeId=made)
    gone('InvalidVolume.NotFound', ec2.describe_volumes, VolumeIds=[made])
    refused('InvalidVolume.NotFound', ec2.delete_volume, VolumeId=made)
    end()
