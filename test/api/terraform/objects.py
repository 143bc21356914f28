# aws_s3_object, aws_s3_bucket_object_lock_configuration, force_destroy, and Terraform's own state in a
# bucket: the backend with use_lockfile.

import base64
import datetime
import hashlib

from bucket import plain, s3
from cloud import NAME, only, refreshed, refused

BUCKET = NAME.replace('_', '-')
LOCKED = f'{BUCKET}-locked'


def aws_s3_object():
    at = {'Bucket': BUCKET, 'Key': 'conf/app.json'}

    def read():
        head = plain(s3.head_object(**at, ChecksumMode='ENABLED'))
        return {name: value for name, value in head.items() if name != 'AcceptRanges'}

    def tags():
        return s3.get_object_tagging(**at)['TagSet']

    s3.create_bucket(Bucket=BUCKET)
    refused('404', s3.head_object, **at)
    text = {'CacheControl': 'no-store', 'ContentType': 'application/json',
            'ContentDisposition': 'inline', 'ContentLanguage': 'en', 'ContentEncoding': 'identity',
            'Metadata': {'owner': 'tf'}}
    s3.put_object(**at, **text, Body=b'{}', Tagging='Name=tf&Stage=a%20b', ChecksumAlgorithm='SHA256')
    seen = refreshed(read)
    assert {name: seen[name] for name in text} == text, seen
    assert seen['ETag'] == f'"{hashlib.md5(b"{}").hexdigest()}"' and seen['ContentLength'] == 2, seen
    digest = base64.b64encode(hashlib.sha256(b'{}').digest()).decode()
    assert seen['ChecksumSHA256'] == digest, seen
    # Nothing that the provider would take for a change: no encryption, class, version that is none.
    for name in ('ServerSideEncryption', 'SSEKMSKeyId', 'BucketKeyEnabled', 'StorageClass',
                 'VersionId', 'WebsiteRedirectLocation', 'ObjectLockMode'):
        assert name not in seen, seen
    assert refreshed(tags) == [{'Key': 'Name', 'Value': 'tf'}, {'Key': 'Stage', 'Value': 'a b'}]
    # Tags in place; another content is another object.
    s3.put_object_tagging(**at, Tagging={'TagSet': [{'Key': 'Stage', 'Value': 'c'}]})
    assert refreshed(tags) == [{'Key': 'Stage', 'Value': 'c'}]
    s3.delete_object_tagging(**at)
    assert refreshed(tags) == []
    s3.put_object(**at, Body=b'[]', ServerSideEncryption='AES256')
    seen = refreshed(read)
    assert seen['ServerSideEncryption'] == 'AES256' and seen['Metadata'] == {}, seen
    assert seen['ContentType'] == 'binary/octet-stream', seen
    refused('BucketNotEmpty', s3.delete_bucket, Bucket=BUCKET)
    for _ in range(2):
        s3.delete_object(**at)
    refused('404', s3.head_object, **at)
    refused('NoSuchKey', s3.get_object_tagging, **at)
    backend()
    s3.delete_bucket(Bucket=BUCKET)
    locked()


def backend():
    """The lock is an object that only one can make; the state is put beside it."""
    state = {'Bucket': BUCKET, 'Key': 'env/prod/terraform.tfstate'}
    lock = {'Bucket': BUCKET, 'Key': f"{state['Key']}.tflock"}
    refused('NoSuchKey', s3.get_object, **state)
    claim = {**lock, 'ContentType': 'application/json', 'IfNoneMatch': '*'}
    s3.put_object(**claim, Body=b'{"ID":"first"}', ChecksumAlgorithm='SHA256')
    refused('PreconditionFailed', s3.put_object, **claim, Body=b'{"ID":"second"}')
    assert s3.get_object(**lock)['Body'].read() == b'{"ID":"first"}'
    s3.put_object(**state, Body=b'{"serial":1}', ServerSideEncryption='AES256',
                  ChecksumAlgorithm='SHA256')
    found = s3.get_object(**state)
    assert found['Body'].read() == b'{"serial":1}' and found['ContentLength'] == 12, found
    s3.delete_object(**lock)
    refused('NoSuchKey', s3.get_object, **lock)
    s3.put_object(**claim, Body=b'{"ID":"second"}')
    # Workspaces: what is below a prefix.
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix='env/', MaxKeys=1000)
    assert [one['Key'] for one in listed['Contents']] == [state['Key'], lock['Key']], listed
    for one in state, lock:
        s3.delete_object(**one)


def locked():
    at = {'Bucket': LOCKED}
    s3.create_bucket(**at, ObjectLockEnabledForBucket=True)

    def read():
        return s3.get_object_lock_configuration(**at)['ObjectLockConfiguration']

    on = {'ObjectLockEnabled': 'Enabled'}
    assert refreshed(read) == on
    assert refreshed(lambda: plain(s3.get_bucket_versioning(**at))) == {'Status': 'Enabled'}
    for rule in {'Mode': 'COMPLIANCE', 'Years': 1}, {'Mode': 'GOVERNANCE', 'Days': 3}:
        wanted = {**on, 'Rule': {'DefaultRetention': rule}}
        s3.put_object_lock_configuration(**at, ObjectLockConfiguration=wanted)
        assert refreshed(read) == wanted
    # The destroy of the configuration leaves the bucket as it was.
    s3.put_object_lock_configuration(**at, ObjectLockConfiguration=on)
    assert refreshed(read) == on

    key = {**at, 'Key': 'kept'}
    until = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_object(**key, Body=b'1', ObjectLockMode='GOVERNANCE', ObjectLockRetainUntilDate=until,
                  ObjectLockLegalHoldStatus='ON', ChecksumAlgorithm='CRC32')
    head = refreshed(lambda: plain(s3.head_object(**key)))
    assert head['ObjectLockMode'] == 'GOVERNANCE', head
    assert head['ObjectLockRetainUntilDate'] == until, head
    assert head['ObjectLockLegalHoldStatus'] == 'ON' and head['VersionId'], head
    s3.delete_object(**key)
    # force_destroy: versions and delete markers in one request, holds off where it was refused.
    listed = s3.list_object_versions(**at, MaxKeys=1000)
    version, marker = only(listed['Versions']), only(listed['DeleteMarkers'])
    ids = [{'Key': 'kept', 'VersionId': one['VersionId']} for one in (version, marker)]
    asked = {**at, 'BypassGovernanceRetention': True}
    answer = s3.delete_objects(**asked, Delete={'Objects': ids[:1], 'Quiet': True})
    assert only(answer['Errors'])['Code'] == 'AccessDenied', answer
    s3.put_object_legal_hold(**key, VersionId=version['VersionId'], LegalHold={'Status': 'OFF'})
    answer = s3.delete_objects(**asked, Delete={'Objects': ids, 'Quiet': True})
    assert 'Errors' not in answer, answer
    s3.delete_bucket(**at)
