// How QEMU is told where a volume is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cephxKey } from '../../../cluster-agent/host/cephx.ts'
import {
  imageOptions,
  protocolOf,
  type VolumeSource,
} from '../../../cluster-agent/host/qemu-volume-protocols.ts'

const SECRET = '00112233445566778899aabbccddeeff'
const ISCSI: VolumeSource = {
  ...{ portal: '[fd00::1]:3260', targetIqn: 'iqn.t', lun: 1, initiatorIqn: 'iqn.i' },
  ...{ chapUser: 'att-1', chapSecret: SECRET, rbd: null },
}
const RBD = {
  ...{ monitors: ['192.0.2.9:3300', '[fd00::9]:3300'], pool: 'volumes', namespace: 'cloud' },
  image: 'vol-1',
}

test('cephxKey is the key that Ceph reads of 16 bytes, and of nothing else', () => {
  // What `ceph-authtool --add-key` takes and shows.
  assert.equal(cephxKey(SECRET), 'AQAAAAAAAAAAABAAABEiM0RVZneImaq7zN3u/w==')
  for (const bad of ['', SECRET.slice(1), SECRET.toUpperCase()]) {
    assert.throws(() => cephxKey(bad), /32 lower-case hex digits/)
  }
})

test('protocolOf says iSCSI as it was, and Ceph with all of its monitors', () => {
  const iscsi = protocolOf(ISCSI)
  assert.equal(
    imageOptions(iscsi.options('s', 5)),
    'driver=iscsi,transport=tcp,timeout=5,portal=[fd00::1]:3260,target=iqn.t,lun=1,user=att-1,' +
      'password-secret=s,initiator-name=iqn.i',
  )
  assert.deepEqual(iscsi.secret, { data: SECRET, format: 'raw' })
  const rbd = protocolOf({ ...ISCSI, rbd: RBD })
  assert.equal(
    imageOptions(rbd.options('s', 5)),
    'driver=rbd,pool=volumes,namespace=cloud,image=vol-1,user=mallee.att-1,' +
      'server.0.host=192.0.2.9,server.0.port=3300,server.1.host=fd00::9,server.1.port=3300,' +
      'key-secret=s,auth-client-required.0=cephx',
  )
  assert.deepEqual(rbd.secret, { data: cephxKey(SECRET), format: 'base64' })
})

for (const bad of [
  { ...RBD, pool: 'a,b' },
  { ...RBD, namespace: '' },
  { ...RBD, monitors: ['ceph.example:3300'] },
]) {
  test(`protocolOf refuses ${JSON.stringify(bad)}`, () => {
    assert.throws(() => protocolOf({ ...ISCSI, rbd: bad }).options('s', 5), /no (name|monitor)/)
  })
}
