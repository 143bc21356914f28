# The aws CLI, version 1 or 2, as a program: one request a line on standard input, one answer a line
# on standard output. Each runs what `aws` runs, with a session of its own.

import contextlib
import gc
import io
import json
import os
import re
import sys

import awscli
from awscli.clidriver import create_clidriver
from botocore import xform_name

url, region = sys.argv[1:]
session = create_clidriver().session
loader = session.get_component('data_loader')
answers = sys.stdout
models = {}
version2 = awscli.__version__.startswith('2')


def argv_of(kind, service, action, input, size, wait, argv):
    name = xform_name(action, '-')
    whole = ['--cli-input-json', json.dumps(input)]
    general = ['--endpoint-url', url, '--region', region, '--output', 'json']
    if version2:
        general += ['--no-cli-pager', '--cli-binary-format', 'raw-in-base64-out']
    if kind == 'wait':
        return [service, 'wait', wait.replace('_', '-'), *whole, *general]
    if kind == 'pages':
        return [service, name, *whole, '--page-size', str(size), *general]
    return [service, name, *(argv or whole), *general]


def model(service):
    if service not in models:
        models[service] = session.get_service_model(service)
    return models[service]


def loaded(load):
    try:
        return load()
    except Exception as error:
        # By its name: newer ones have a botocore of their own.
        if type(error).__name__ in ('UnknownServiceError', 'ValueError'):
            return None
        raise


def has_pages(service, action):
    found = loaded(lambda: session.get_paginator_model(service).get_paginator(action))
    return found is not None


def has_waiter(service, wait):
    model = loaded(lambda: session.get_waiter_model(service))
    return model is not None and wait in [xform_name(name) for name in model.waiter_names]


def run(argv, keys):
    # As a process would: the session is new, only what its loader read from files is kept.
    driver = create_clidriver()
    driver.session.register_component('data_loader', loader)
    names = 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'
    os.environ.pop(names[2], None)
    os.environ.update(zip(names, keys))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = driver.main(argv)
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


def answer(kind, service, action, input, keys, size, wait=None, argv=None):
    if service == 'elasticloadbalancing':
        service = 'elbv2'
    if action not in model(service).operation_names:
        return {'unknown': True}
    if kind == 'pages' and not has_pages(service, action):
        return {'unknown': True}
    if kind == 'wait' and not has_waiter(service, wait):
        return {'unknown': True}
    line = argv_of(kind, service, action, input, size, wait, argv)
    code, out, err = run(line, keys)
    if code == 0:
        return {'answer': json.loads(out) if out.strip() else {}}
    refused = re.search(r'An error occurred \((\S+)\)', err)
    return {'code': refused[1] if refused else f'exit {code}', 'message': err.strip()}


# What is loaded stays: nobody need look for it in vain.
for service in 'ec2', 'iam', 'sts', 'autoscaling', 'elbv2':
    model(service)
gc.freeze()
for line in sys.stdin:
    try:
        said = answer(**json.loads(line))
    except Exception as error:
        said = {'code': type(error).__name__, 'message': str(error)}
    print(json.dumps(said), file=answers, flush=True)
