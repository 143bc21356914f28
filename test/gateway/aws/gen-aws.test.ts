// The committed models are what the generator makes of the pinned SDK.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exec } from '../../../common/exec.ts'
import { loadModel, SERVICES } from '../../../gateway/aws/model.ts'

const MODELS = [...SERVICES, 's3', 'ebs'] as const
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

test('gen-aws writes exactly the models that are committed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mallee-gen-aws-'))
  t.after(() => rmSync(directory, { recursive: true }))
  await exec([process.execPath, 'setup/gen-aws.ts', directory], { cwd: ROOT, timeoutMs: 60_000 })
  assert.deepEqual(readdirSync(directory).sort(), MODELS.map((service) => `${service}.json`).sort())
  for (const file of readdirSync(directory)) {
    const made = readFileSync(join(directory, file))
    const committed = readFileSync(join(ROOT, 'gateway/aws/model', file))
    assert.ok(made.equals(committed), `${file} differs: run npm run gen`)
  }
})

test('the EC2 model has all operations and enums of the SDK but open ones', () => {
  const model = loadModel('ec2')
  assert.ok(Object.keys(model.ops).length > 800, `${Object.keys(model.ops).length} operations`)
  assert.ok(Object.keys(model.enums).length > 450, `${Object.keys(model.enums).length} enums`)
  assert.ok(model.enums['VolumeAttributeName']?.includes('autoEnableIO'))
  assert.equal(model.enums['VolumeType'], undefined)
  assert.ok(!JSON.stringify(model.enums).includes('m5.large'))
})

for (const [service, least, operation] of [
  ['iam', 170, 'CreateRole'],
  ['autoscaling', 65, 'CreateAutoScalingGroup'],
  ['elasticloadbalancing', 50, 'CreateLoadBalancer'],
  ['s3', 105, 'PutObject'],
  ['ebs', 6, 'PutSnapshotBlock'],
] as const) {
  test(`the model of ${service} has ${operation} among ${least} operations and more`, () => {
    const { ops } = loadModel(service)
    assert.ok(Object.keys(ops).length >= least, `${Object.keys(ops).length} operations`)
    assert.ok(Object.hasOwn(ops, operation))
  })
}

test('NOTICE names every SDK package that a model was generated from', () => {
  const notice = readFileSync(join(ROOT, 'NOTICE'), 'utf8')
  for (const service of MODELS) {
    const { from } = loadModel(service)
    assert.ok(notice.includes(from.slice(0, from.lastIndexOf('@'))), from)
    assert.match(from, /\(Apache-2\.0\)$/)
  }
})
