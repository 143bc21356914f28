// What a bucket may be called (S3 user guide, "General purpose bucket naming rules").

import { S3Error } from '../wire/error.ts'

const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$/
/** What AWS keeps for names that it makes itself. */
const RESERVED =
  /^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3|-an)$/
/** Longer ones, and capitals, were allowed once: asking for one is no mistake of form. */
const ONCE_ALLOWED = /^[A-Za-z0-9._-]{3,255}$/

/** Throws InvalidBucketName for what no bucket can have, or (`isNew`) get, as its name. */
export function checkBucketName(name: string, isNew: boolean): void {
  if (!isNew && ONCE_ALLOWED.test(name)) return
  const isFit = NAME.test(name) && !name.includes('..') && !ADDRESS.test(name)
  if (isFit && !RESERVED.test(name)) return
  throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', 400, {
    BucketName: name.slice(0, 255),
  })
}

export function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', 'The specified bucket does not exist', 404, {
    BucketName: name,
  })
}
