# boto3 as a program: one request a line on standard input, one answer a line on standard output.

import json
import sys

import boto3
import botocore.config
import botocore.exceptions

url, region = sys.argv[1:]
config = botocore.config.Config(retries={'max_attempts': 0})
session = boto3.Session(region_name=region)
clients = {}


def client(service, keys):
    name = (service, *keys)
    if name not in clients:
        clients[name] = session.client(
            service, endpoint_url=url, config=config, **dict(zip(
                ('aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'), keys)))
    return clients[name]


def answer(kind, service, action, input, keys, size, wait=None, **_):
    if service == 'elasticloadbalancing':
        service = 'elbv2'
    asked = client(service, keys)
    if action not in asked.meta.service_model.operation_names:
        return {'unknown': True}
    verb = botocore.xform_name(action)
    if kind == 'wait':
        if wait not in asked.waiter_names:
            return {'unknown': True}
        waits = {'Delay': 1, 'MaxAttempts': 20}
        asked.get_waiter(wait).wait(**input, WaiterConfig=waits)
        return {'answer': {}}
    if kind == 'pages':
        if not asked.can_paginate(verb):
            return {'unknown': True}
        pages = asked.get_paginator(verb).paginate(**input, PaginationConfig={'PageSize': size})
        return {'answer': pages.build_full_result()}
    return {'answer': getattr(asked, verb)(**input)}


def plain(value):
    return value.decode() if isinstance(value, bytes) else value.isoformat()


for line in sys.stdin:
    try:
        said = answer(**json.loads(line))
    except botocore.exceptions.ClientError as error:
        said = {'code': error.response['Error']['Code'], 'message': str(error)}
    except Exception as error:
        said = {'code': type(error).__name__, 'message': str(error)}
    print(json.dumps(said, default=plain), flush=True)
