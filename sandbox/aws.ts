// The real aws CLI, Debian's, against the world's one endpoint.

import { exec } from '../common/exec.ts'
import type { Credentials } from './gateway.ts'

// By its path: a machine may have another one first in PATH.
export const AWS = '/usr/bin/aws'
const COMMAND_MS = 60_000

/** Runs `aws ARGS` and returns its JSON, null when it prints nothing. Throws CommandFailed. */
export type Aws = (args: readonly string[]) => Promise<unknown>

export interface AwsTarget {
  readonly endpoint: string
  readonly region: string
  /** Temporary ones have a session token. */
  readonly credentials: Credentials & { readonly sessionToken?: string }
}

export function awsCli({ endpoint, region, credentials }: AwsTarget): Aws {
  const env = {
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    ...(credentials.sessionToken !== undefined && {
      AWS_SESSION_TOKEN: credentials.sessionToken,
    }),
    AWS_DEFAULT_REGION: region,
    AWS_PAGER: '',
    AWS_EC2_METADATA_DISABLED: 'true',
    // Nothing of the user's own configuration.
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    HOME: '/nonexistent',
  }
  return async (args) => {
    const argv = [AWS, '--endpoint-url', endpoint, '--output', 'json', ...args]
    const { stdout } = await exec(argv, { env, timeoutMs: COMMAND_MS })
    return stdout.trim() === '' ? null : JSON.parse(stdout)
  }
}

/** The lines that a shell needs for the same. */
export function shellLines({ endpoint, region, credentials }: AwsTarget): string[] {
  return [
    `export AWS_ACCESS_KEY_ID=${credentials.accessKeyId}`,
    `export AWS_SECRET_ACCESS_KEY=${credentials.secretAccessKey}`,
    `export AWS_DEFAULT_REGION=${region} AWS_PAGER=`,
    // Debian 12's aws does not read AWS_ENDPOINT_URL.
    `aws() { ${AWS} --endpoint-url ${endpoint} "$@"; }`,
  ]
}
