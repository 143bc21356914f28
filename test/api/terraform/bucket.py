# aws_s3_bucket and what hangs on it: each resource is put, read until it is as asked for, read again,
# changed, taken away, and read until its code says that it is gone.

import json

import newer
from cloud import NAME, config, only, refreshed, refused, session, sts, tags, wish

newer.teach_s3()
newer.teach_s3_control()
s3, control = [
    session.client(name, endpoint_url=wish['url'], config=config) for name in ('s3', 's3control')]
BUCKET = NAME.replace('_', '-')
AT = {'Bucket': BUCKET}
ARN = f'arn:aws:s3:::{BUCKET}'
# What a bucket has none of, as a resource without its blocks reads it.
ABSENT = {
    'get_bucket_policy': 'NoSuchBucketPolicy',
    'get_bucket_cors': 'NoSuchCORSConfiguration',
    'get_bucket_website': 'NoSuchWebsiteConfiguration',
    'get_bucket_lifecycle_configuration': 'NoSuchLifecycleConfiguration',
    'get_bucket_replication': 'ReplicationConfigurationNotFoundError',
    'get_bucket_encryption': 'ServerSideEncryptionConfigurationNotFoundError',
    'get_object_lock_configuration': 'ObjectLockConfigurationNotFoundError',
    'get_bucket_tagging': 'NoSuchTagSet',
}


def plain(answer):
    return {name: value for name, value in answer.items() if name != 'ResponseMetadata'}


def read(name, bucket=BUCKET):
    return refreshed(lambda: plain(getattr(s3, name)(Bucket=bucket)))


def gone(name):
    refused(ABSENT[name], getattr(s3, name), **AT)


def bucket():
    account = sts.get_caller_identity()['Account']
    region = session.region_name
    refused('404', s3.head_bucket, **AT)
    s3.create_bucket(**AT, CreateBucketConfiguration={
        'LocationConstraint': region, 'Tags': tags()})
    headers = s3.head_bucket(**AT)['ResponseMetadata']['HTTPHeaders']
    assert headers['x-amz-bucket-region'] == region, headers
    for name in ABSENT:
        if name != 'get_bucket_tagging':
            gone(name)
    assert read('get_bucket_versioning') == {}
    assert read('get_bucket_accelerate_configuration') == {}
    assert read('get_bucket_logging') == {}
    assert read('get_bucket_notification_configuration') == {}
    assert read('get_bucket_request_payment') == {'Payer': 'BucketOwner'}
    assert read('get_bucket_location') == {'LocationConstraint': region}
    acl = read('get_bucket_acl')
    grant = only(acl['Grants'])
    assert grant['Permission'] == 'FULL_CONTROL' and grant['Grantee']['ID'] == acl['Owner']['ID']
    bucket_tags(account)
    for part in (versioning, lifecycle, encryption, cors, website, public_access, policy,
                 ownership_and_acl, notification, logging):
        part()
    s3.delete_bucket(**AT)
    refused('NoSuchBucket', s3.delete_bucket, **AT)
    refused('404', s3.head_bucket, **AT)
    for name in 'get_bucket_versioning', *ABSENT:
        refused('NoSuchBucket', getattr(s3, name), **AT)


def bucket_tags(account):
    """By S3 Control, as the provider does since 6.23; by S3, as it did before."""
    whose = {'AccountId': account, 'ResourceArn': ARN}

    def listed():
        return refreshed(lambda: control.list_tags_for_resource(**whose)['Tags'])

    assert listed() == tags() == read('get_bucket_tagging')['TagSet']
    control.tag_resource(**whose, Tags=[{'Key': 'Stage', 'Value': 'a = b'}])
    control.untag_resource(**whose, TagKeys=['Name', 'nobody'])
    assert listed() == [{'Key': 'Stage', 'Value': 'a = b'}] == read('get_bucket_tagging')['TagSet']
    control.untag_resource(**whose, TagKeys=['Stage'])
    assert listed() == []
    gone('get_bucket_tagging')
    refused('AccessDenied', control.list_tags_for_resource, **{**whose, 'AccountId': '1' * 12})
    refused('NoSuchBucket', control.list_tags_for_resource, **{**whose, 'ResourceArn': f'{ARN}x'})
    many = [{'Key': f'k{n}', 'Value': ''} for n in range(51)]
    refused('BadRequest', control.tag_resource, **whose, Tags=many)
    s3.put_bucket_tagging(**AT, Tagging={'TagSet': tags()})
    assert listed() == tags()
    s3.delete_bucket_tagging(**AT)
    gone('get_bucket_tagging')


def versioning():
    for status in 'Enabled', 'Suspended':
        s3.put_bucket_versioning(**AT, VersioningConfiguration={'Status': status})
        assert read('get_bucket_versioning') == {'Status': status}


def lifecycle():
    """The provider waits until the rules that it reads are those that it put, member by member."""
    expiration = {'Days': 30}
    asked = [
        {'ID': 'no-filter', 'Filter': {}, 'Expiration': expiration},
        {'ID': 'empty-prefix', 'Filter': {'Prefix': ''}, 'Expiration': expiration},
        {'ID': 'tag', 'Filter': {'Tag': {'Key': 'k', 'Value': 'v'}}, 'Expiration': expiration},
        {'ID': 'size', 'Filter': {'ObjectSizeGreaterThan': 0}, 'Expiration': expiration},
        {'ID': 'and', 'Filter': {'And': {'Prefix': 'a/', 'ObjectSizeLessThan': 9,
                                         'Tags': [{'Key': 'k', 'Value': 'v'}]}},
         'NoncurrentVersionExpiration': {'NoncurrentDays': 9, 'NewerNoncurrentVersions': 2}},
        {'ID': 'markers', 'Filter': {}, 'Expiration': {'ExpiredObjectDeleteMarker': False},
         'AbortIncompleteMultipartUpload': {'DaysAfterInitiation': 7}},
    ]
    old = [{'ID': 'old', 'Prefix': 'logs/', 'Expiration': expiration}]
    for rules in asked, old:
        for status, size in ('Enabled', 'all_storage_classes_128K'), (
                'Disabled', 'varies_by_storage_class'):
            put = [{**rule, 'Status': status} for rule in rules]
            s3.put_bucket_lifecycle_configuration(
                **AT, TransitionDefaultMinimumObjectSize=size,
                LifecycleConfiguration={'Rules': put})
            assert read('get_bucket_lifecycle_configuration') == {
                'Rules': put, 'TransitionDefaultMinimumObjectSize': size}
    s3.delete_bucket_lifecycle(**AT)
    gone('get_bucket_lifecycle_configuration')


def encryption():
    by = {'ApplyServerSideEncryptionByDefault': {'SSEAlgorithm': 'AES256'}}
    for rule in by, {**by, 'BucketKeyEnabled': True}, {
            **by, 'BlockedEncryptionTypes': {'EncryptionType': ['SSE-C']}}:
        s3.put_bucket_encryption(**AT, ServerSideEncryptionConfiguration={'Rules': [rule]})
        found = read('get_bucket_encryption')['ServerSideEncryptionConfiguration']
        # A member that is left out and `false` are the same to the provider.
        assert {'BucketKeyEnabled': False, **only(found['Rules'])} == {
            'BucketKeyEnabled': False, **rule}, found
    s3.delete_bucket_encryption(**AT)
    gone('get_bucket_encryption')


def cors():
    rules = [
        {'ID': 'web', 'AllowedMethods': ['PUT', 'GET'], 'AllowedOrigins': ['https://example.com'],
         'AllowedHeaders': ['*'], 'ExposeHeaders': ['ETag', 'x-amz-meta-a'], 'MaxAgeSeconds': 3000},
        {'AllowedMethods': ['GET'], 'AllowedOrigins': ['*']},
    ]
    for put in rules, rules[1:], [{**rules[1], 'MaxAgeSeconds': 0}]:
        s3.put_bucket_cors(**AT, CORSConfiguration={'CORSRules': put})
        assert read('get_bucket_cors') == {'CORSRules': put}
    s3.delete_bucket_cors(**AT)
    gone('get_bucket_cors')


def website():
    pages = {'IndexDocument': {'Suffix': 'index.html'}, 'ErrorDocument': {'Key': 'error.html'}}
    rules = [
        {'Condition': {'KeyPrefixEquals': 'docs/'}, 'Redirect': {'ReplaceKeyPrefixWith': 'new/'}},
        {'Condition': {'HttpErrorCodeReturnedEquals': '404'},
         'Redirect': {'HostName': 'example.com', 'HttpRedirectCode': '302', 'Protocol': 'https',
                      'ReplaceKeyWith': 'gone.html'}},
    ]
    everything = {'RedirectAllRequestsTo': {'HostName': 'example.com', 'Protocol': 'https'}}
    for put in pages, {**pages, 'RoutingRules': rules}, everything, {
            'RedirectAllRequestsTo': {'HostName': 'example.com'}}:
        s3.put_bucket_website(**AT, WebsiteConfiguration=put)
        assert read('get_bucket_website') == put
    s3.delete_bucket_website(**AT)
    gone('get_bucket_website')


def public_access():
    names = ('BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls', 'RestrictPublicBuckets')
    all_on = {'PublicAccessBlockConfiguration': dict.fromkeys(names, True)}
    # What a new bucket has without anybody's doing.
    assert read('get_public_access_block') == all_on
    for put in all_on, {'PublicAccessBlockConfiguration': {
            name: name == 'BlockPublicAcls' for name in names}}:
        s3.put_public_access_block(**AT, **put)
        assert read('get_public_access_block') == put
    s3.delete_public_access_block(**AT)
    refused('NoSuchPublicAccessBlockConfiguration', s3.get_public_access_block, **AT)


def policy():
    whole = {'Version': '2012-10-17', 'Id': 'tf', 'Statement': [
        {'Sid': 'read', 'Effect': 'Allow', 'Principal': '*', 'Action': 's3:GetObject',
         'Resource': f'{ARN}/*', 'Condition': {'Bool': {'aws:SecureTransport': 'true'}}}]}
    for put in whole, {**whole, 'Statement': [{**whole['Statement'][0], 'Effect': 'Deny'}]}:
        s3.put_bucket_policy(**AT, Policy=json.dumps(put))
        assert json.loads(read('get_bucket_policy')['Policy']) == put
    s3.delete_bucket_policy(**AT)
    gone('get_bucket_policy')


def ownership_and_acl():
    def put(value):
        wanted = {'Rules': [{'ObjectOwnership': value}]}
        s3.put_bucket_ownership_controls(**AT, OwnershipControls=wanted)
        assert read('get_bucket_ownership_controls') == {'OwnershipControls': wanted}

    refused('AccessControlListNotSupported', s3.put_bucket_acl, **AT, ACL='public-read')
    put('BucketOwnerPreferred')
    s3.put_bucket_acl(**AT, ACL='public-read')
    public = read('get_bucket_acl')
    assert [one['Permission'] for one in public['Grants']] == ['FULL_CONTROL', 'READ'], public
    own, everyone = public['Grants']
    assert everyone['Grantee']['URI'].endswith('/global/AllUsers'), everyone
    # With grants of its own: as they are read, without what is only for people.
    grants = [own, {**everyone, 'Permission': 'READ_ACP'}]
    s3.put_bucket_acl(**AT, AccessControlPolicy={'Owner': public['Owner'], 'Grants': grants})
    assert read('get_bucket_acl') == {'Owner': public['Owner'], 'Grants': grants}
    s3.put_bucket_acl(**AT, ACL='private')
    assert read('get_bucket_acl')['Grants'] == [own]
    for value in 'ObjectWriter', 'BucketOwnerEnforced':
        put(value)
    s3.delete_bucket_ownership_controls(**AT)
    refused('OwnershipControlsNotFoundError', s3.get_bucket_ownership_controls, **AT)


def notification():
    rules = [{'Name': 'Prefix', 'Value': 'in/'}, {'Name': 'Suffix', 'Value': '.jpg'}]
    topic = {'Id': 'tf-s3-topic-20261126070000000000000001', 'TopicArn': wish['topic'],
             'Events': ['s3:ObjectCreated:*', 's3:ObjectRemoved:Delete'],
             'Filter': {'Key': {'FilterRules': rules}}}
    for put in {'TopicConfigurations': [topic]}, {'TopicConfigurations': [
            {name: topic[name] for name in ('Id', 'TopicArn', 'Events')}]}, {}:
        s3.put_bucket_notification_configuration(**AT, NotificationConfiguration=put)
        assert read('get_bucket_notification_configuration') == put


def logging():
    where = {'TargetBucket': BUCKET, 'TargetPrefix': 'log/'}
    source = {'PartitionedPrefix': {'PartitionDateSource': 'EventTime'}}
    for put in where, {**where, 'TargetObjectKeyFormat': source}, {
            **where, 'TargetObjectKeyFormat': {'SimplePrefix': {}}}:
        s3.put_bucket_logging(**AT, BucketLoggingStatus={'LoggingEnabled': put})
        assert read('get_bucket_logging') == {'LoggingEnabled': put}
    s3.put_bucket_logging(**AT, BucketLoggingStatus={})
    assert read('get_bucket_logging') == {}
