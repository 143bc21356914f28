// What a user's environment and AWS configuration files say: keys, region and endpoint, as the aws
// CLI looks for them (its "Configuration and credential file settings").

import { homedir } from 'node:os'
import { join } from 'node:path'
import { readIfThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'

type Env = Readonly<Record<string, string | undefined>>
type Section = ReadonlyMap<string, string>

export interface AwsWish {
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly profile?: string | undefined
}

export interface AwsAccess {
  /** http or https. */
  readonly endpoint: URL
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** '' without one. */
  readonly sessionToken: string
  /** PEM certificates to trust, null for the system's. */
  readonly ca: string | null
}

/**
 * Flags first, then the environment, then the profile; a profile that is named comes before keys in
 * the environment. Throws BadConfig that says what is missing and where it may stand.
 */
export async function readAwsAccess(wish: AwsWish, env: Env): Promise<AwsAccess> {
  const name = wish.profile ?? env['AWS_PROFILE'] ?? 'default'
  const profile = await readProfile(name, env)
  const of = (key: string): string | undefined => profile.get(key)
  const region = wish.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? of('region')
  if (region === undefined) throw missing('region', '--region, AWS_REGION', name)
  const named = env['AWS_ENDPOINT_URL_EC2'] ?? env['AWS_ENDPOINT_URL'] ?? of('endpoint_url')
  const endpoint = wish.endpoint ?? named
  if (endpoint === undefined) throw missing('endpoint', '--endpoint, AWS_ENDPOINT_URL', name)
  const bundle = env['AWS_CA_BUNDLE'] ?? of('ca_bundle')
  const ca = bundle === undefined ? null : await readIfThere(bundle)
  if (bundle !== undefined && ca === null) {
    throw new MalleeError('BadConfig', `there is no ${bundle}, the file of certificates to trust`)
  }
  const inEnv = wish.profile === undefined ? keysOf((key) => env[key.toUpperCase()]) : null
  const keys = inEnv ?? keysOf(of)
  if (keys === null) throw missing('access key', 'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY', name)
  return { endpoint: parseEndpoint(endpoint), region, ca, ...keys }
}

function keysOf(
  get: (key: string) => string | undefined,
): Pick<AwsAccess, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'> | null {
  const [accessKeyId, secretAccessKey] = [get('aws_access_key_id'), get('aws_secret_access_key')]
  if (!accessKeyId || !secretAccessKey) return null
  return { accessKeyId, secretAccessKey, sessionToken: get('aws_session_token') ?? '' }
}

function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new MalleeError('BadArgument', `the endpoint ${text} is no http or https URL`)
  }
  return url
}

function missing(what: string, where: string, profile: string): MalleeError {
  const sentence = `no ${what}: say it with ${where} or in the profile ${profile}`
  return new MalleeError('BadConfig', sentence)
}

/** Both files' settings of a profile; the credentials file has the last word. */
async function readProfile(name: string, env: Env): Promise<Section> {
  const folder = join(env['HOME'] ?? homedir(), '.aws')
  const config = env['AWS_CONFIG_FILE'] ?? join(folder, 'config')
  const credentials = env['AWS_SHARED_CREDENTIALS_FILE'] ?? join(folder, 'credentials')
  const heading = name === 'default' ? name : `profile ${name}`
  const found = [
    sectionOf((await readIfThere(config)) ?? '', heading),
    sectionOf((await readIfThere(credentials)) ?? '', name),
  ]
  return new Map(found.flatMap((section) => [...section]))
}

/** One section of an INI file; settings that belong to another one above them are left out. */
function sectionOf(text: string, heading: string): Section {
  const section = new Map<string, string>()
  let isIn = false
  for (const line of text.split('\n')) {
    const [, found] = /^\[\s*(.*?)\s*\]/.exec(line) ?? []
    if (found !== undefined) isIn = found.replace(/\s+/g, ' ') === heading
    const [, key, value = ''] = /^([A-Za-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (isIn && key !== undefined) section.set(key.toLowerCase(), value)
  }
  return section
}
