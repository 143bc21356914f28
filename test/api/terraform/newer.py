# Members and operations of S3 that the provider knows and Debian's botocore is too old for: they are
# added to its models before clients are made of them.

from cloud import session

STRING = {'shape': 'newerString'}
PLAIN = {'newerString': {'type': 'string'}}
TAGGING = {
    'ListTagsForResource': ('GET', 200, {}),
    'TagResource': ('POST', 204, {'Tags': {'shape': 'newerTags'}}),
    'UntagResource': ('DELETE', 204, {'TagKeys': {
        'shape': 'newerKeys', 'location': 'querystring', 'locationName': 'tagKeys'}}),
}


def structure(**members):
    return {'type': 'structure', 'members': members}


def listed(member, **more):
    return {'type': 'list', 'member': member, **more}


def in_header(name, shape='newerString'):
    return {'shape': shape, 'location': 'header', 'locationName': name}


def model(service):
    loader = session._session.get_component('data_loader')
    return loader.load_service_model(service, 'service-2')


def teach_s3():
    shapes = model('s3')['shapes']
    size = in_header('x-amz-transition-default-minimum-object-size')
    members = {
        'PutObjectRequest': {'IfNoneMatch': in_header('If-None-Match')},
        'CreateBucketConfiguration': {'Tags': {'shape': 'TagSet'}},
        'PutBucketLifecycleConfigurationRequest': {'TransitionDefaultMinimumObjectSize': size},
        'GetBucketLifecycleConfigurationOutput': {'TransitionDefaultMinimumObjectSize': size},
        'LoggingEnabled': {'TargetObjectKeyFormat': {'shape': 'TargetObjectKeyFormat'}},
        'ServerSideEncryptionRule': {'BlockedEncryptionTypes': {'shape': 'BlockedEncryptionTypes'}},
    }
    more = {
        **PLAIN,
        'TargetObjectKeyFormat': structure(
            SimplePrefix={'shape': 'SimplePrefix'}, PartitionedPrefix={'shape': 'PartitionedPrefix'}),
        'SimplePrefix': structure(),
        'PartitionedPrefix': structure(PartitionDateSource=STRING),
        'BlockedEncryptionTypes': structure(EncryptionType={'shape': 'newerEncryptionTypes'}),
        'newerEncryptionTypes': listed(STRING, flattened=True),
    }
    shapes.update({name: shape for name, shape in more.items() if name not in shapes})
    for shape, added in members.items():
        for name, member in added.items():
            shapes[shape]['members'].setdefault(name, member)


def teach_s3_control():
    description = model('s3control')
    shapes, operations = description['shapes'], description['operations']
    shapes.update({
        **PLAIN, 'newerTags': listed({'shape': 'newerTag', 'locationName': 'Tag'}),
        'newerTag': structure(Key=STRING, Value=STRING), 'newerKeys': listed(STRING),
        'newerResult': structure(Tags={'shape': 'newerTags'}),
    })
    for name, (method, status, members) in TAGGING.items():
        shapes[f'newer{name}'] = structure(
            AccountId=in_header('x-amz-account-id'), ResourceArn={
                'shape': 'newerString', 'location': 'uri', 'locationName': 'resourceArn'}, **members)
        body = {'locationName': f'{name}Request',
                'xmlNamespace': {'uri': 'http://awss3control.amazonaws.com/doc/2018-08-20/'}}
        operations[name] = {
            'name': name, 'input': {'shape': f'newer{name}', **(body if method == 'POST' else {})},
            'http': {'method': method, 'requestUri': '/v20180820/tags/{resourceArn+}',
                     'responseCode': status},
            **({'output': {'shape': 'newerResult'}} if method == 'GET' else {}),
        }
