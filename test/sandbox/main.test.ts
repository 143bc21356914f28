// npm start runs once at a time; npm run enter knows its hosts.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { claimWorld, SANDBOX } from '../../sandbox/claim.ts'

test('a second sandbox is refused with the reason and removes nothing', async () => {
  // Somebody may have theirs running beside the tests: that one serves as well.
  const claim = await claimWorld(SANDBOX).catch((error: unknown) => {
    if (codeOf(error) === 'Conflict') return null
    throw error
  })
  try {
    const main = join(import.meta.dirname, '../../sandbox/main.ts')
    const { stdout, stderr } = await exec([process.execPath, main], { okCodes: [1] })
    assert.match(stderr, /the world sandbox runs already; stop it/)
    assert.equal(stdout, '')
  } finally {
    await claim?.release()
  }
})

test('enter.sh names the hosts there are when it does not know one', async () => {
  const script = join(import.meta.dirname, '../../sandbox/enter.sh')
  const { stderr } = await exec(['bash', script, 'nobody', 'true'], { okCodes: [1] })
  assert.match(stderr, /^mallee: no host nobody runs; hosts: /)
})
