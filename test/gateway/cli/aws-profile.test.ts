// Where a user's command finds keys, region and endpoint.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AwsWish, readAwsAccess } from '../../../gateway/cli/aws-profile.ts'

const CONFIG = `# a comment
[default]
region = mallee-1
endpoint_url = http://default.example:8773

[profile  lab]
region=lab-1
endpoint_url = https://lab.example
ca_bundle = CA
[services x]
region = wrong-1
`
const CREDENTIALS = `[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = default/secret=
[lab]
aws_access_key_id = AKIALAB
aws_secret_access_key = lab
aws_session_token = token
`
const KEYS = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env' }

async function ask(t: TestContext, wish: AwsWish, more: Record<string, string> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-aws-'))
  t.after(() => rm(dir, { recursive: true }))
  const [config, credentials, ca] = ['config', 'credentials', 'ca.pem'].map((name) =>
    join(dir, name),
  )
  await writeFile(config ?? '', CONFIG.replace('CA', ca ?? ''))
  await writeFile(credentials ?? '', CREDENTIALS)
  await writeFile(ca ?? '', 'PEM')
  const files = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials, HOME: dir }
  const { endpoint, ...access } = await readAwsAccess(wish, { ...files, ...more })
  return [endpoint.href, ...Object.values(access)].join(' ')
}

test('the default profile, when nothing else is said', async (t) => {
  const said = 'http://default.example:8773/ mallee-1  AKIADEFAULT default/secret= '
  assert.equal(await ask(t, {}), said)
})

test('a profile that is named comes before keys in the environment, which come before default', async (t) => {
  const lab = 'https://lab.example/ lab-1 PEM AKIALAB lab token'
  assert.equal(await ask(t, { profile: 'lab' }, KEYS), lab)
  assert.equal(await ask(t, {}, { AWS_PROFILE: 'lab' }), lab)
  assert.match(await ask(t, {}, KEYS), / AKIAENV env $/)
})

test('flags come first, then the environment', async (t) => {
  const env = { AWS_ENDPOINT_URL: 'http://env.example', AWS_DEFAULT_REGION: 'env-1' }
  assert.match(await ask(t, {}, env), /^http:\/\/env.example\/ env-1 /)
  const wish = { endpoint: 'http://flag.example', region: 'flag-1' }
  assert.match(await ask(t, wish, env), /^http:\/\/flag.example\/ flag-1 /)
})

test('what is missing or wrong is named', async (t) => {
  const nothing = { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' }
  for (const [wish, env, message] of [
    [{}, {}, /^no region: say it with --region, AWS_REGION or in the profile default$/],
    [{ region: 'r' }, {}, /^no endpoint: /],
    [{ region: 'r', endpoint: 'http://a' }, {}, /^no access key: /],
    [{ region: 'r', endpoint: 'ftp://a' }, KEYS, /ftp:\/\/a is no http or https URL/],
    [{ region: 'r', endpoint: 'a b' }, KEYS, /a b is no http or https URL/],
    [{ region: 'r', endpoint: 'http://a' }, { AWS_CA_BUNDLE: '/none' }, /there is no \/none/],
  ] as const) {
    await assert.rejects(ask(t, wish, { ...nothing, ...env }), { message })
  }
})
