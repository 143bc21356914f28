// Which volumes a snapshot may be asked of.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withAttachment } from '../../../gateway/ebs/attachment-life.ts'
import { checkVolume } from '../../../gateway/ebs/new-snapshot.ts'
import type { View } from '../../../gateway/store/state.ts'
import { volume } from '../control/volume-changes.ts'

/** Of a cloud with one host, without snapshots. */
function viewOf(snapshots: boolean): View {
  const host = { status: { volumes: { snapshots } } }
  const get = (kind: string) => (kind === 'host' ? host : assert.fail(kind))
  return { get, by: () => [] } as unknown as View
}

const DETACHED = volume('vol-1')
const ATTACHED = withAttachment(DETACHED, {
  ...{ id: 'att-1', instance: 'i-1', host: 'a1', device: '/dev/sdf', deleteOnTermination: false },
  ...{ attachedAtMs: 1, chapUser: 'att-1', sealedChapSecret: '' },
})

test('checkVolume refuses a volume that is attached where its host shares no blocks', () => {
  checkVolume(viewOf(true), ATTACHED)
  checkVolume(viewOf(false), DETACHED)
  assert.throws(() => checkVolume(viewOf(false), ATTACHED), {
    code: 'UnsupportedOperation',
    message: /vol-1' while it is attached/,
  })
})
