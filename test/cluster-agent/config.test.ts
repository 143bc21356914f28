// What an agent refuses to start with, for what is said of volumes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentConfig, CONFIG_DEFAULTS, checkAgentConfig } from '../../cluster-agent/config.ts'

const CEPH = { conf: '/c.conf', pool: 'volumes', user: 'mallee', keyring: '/c.keyring' }
const CONFIG: AgentConfig = {
  ...CONFIG_DEFAULTS,
  ...{ cloud: 'c', region: 'r', rack: 'a', rackIndex: 1, host: 'a1', hostIndex: 1, roles: ['sc'] },
  parents: [{ host: '127.0.0.1', port: 1, joinPort: 1 }],
}

for (const change of [
  { volumeDir: '/srv/volumes' },
  { volumePool: 'vg0/mallee-pool' },
  { volumeCeph: CEPH },
  { volumeTarget: 'lio' as const },
  { storageAddress: '192.0.2.1' },
  { storageAddress: '2001:db8::1' },
]) {
  test(`checkAgentConfig takes ${JSON.stringify(change)}`, () => {
    const config = { ...CONFIG, ...change }
    assert.deepEqual(checkAgentConfig('agent.json', config), config)
  })
}

for (const [change, fits] of [
  [{ volumeDir: 'volumes' }, 'an absolute path'],
  [{ volumeDir: '/srv', objectDirs: ['/srv'] }, 'none of objectDirs'],
  [{ volumePool: 'vg0' }, 'names of a volume group and a pool'],
  [{ volumePool: 'vg0/-a' }, 'names of a volume group'],
  [{ volumePool: '../a' }, 'names of a volume group'],
  [{ volumePool: 'vg0/a', volumeDir: '/srv' }, 'without volumeDir'],
  [{ volumeCeph: { ...CEPH, conf: 'c.conf' } }, 'the absolute path of the ceph.conf'],
  [{ volumeCeph: { ...CEPH, pool: '' } }, 'the name of an RBD pool'],
  [{ volumeCeph: { ...CEPH, user: 'mallee.sc' } }, 'does not begin with `mallee.`'],
  [{ volumeCeph: { ...CEPH, keyring: '/a,b' } }, 'the absolute path of the keyring'],
  [{ volumeCeph: JSON.parse(JSON.stringify({ ...CEPH, key: 'x' })) as typeof CEPH }, 'it has key'],
  [{ volumeCeph: CEPH, volumeDir: '/srv' }, 'volumeDir and volumePool must be'],
  [{ volumeTarget: 'iscsi' as 'tgt' }, 'one of auto, lio, tgt'],
  [{ storageAddress: 'a1' }, 'an IPv4 or IPv6 address of this host'],
  [{ storageAddress: '10.0.0.1/24' }, 'address of this host'],
  [{ storageAddress: '::' }, 'address of this host'],
  [{ storageAddress: '0.0.0.0' }, 'address of this host'],
  [{ storageAddress: 'fe80::1' }, 'address of this host'],
] as const) {
  const [name = ''] = Object.keys(change)
  test(`checkAgentConfig refuses ${JSON.stringify(change)}`, () => {
    assert.throws(
      () => checkAgentConfig('agent.json', { ...CONFIG, ...change }),
      new RegExp(`${name} in agent.json is .*${fits}`),
    )
  })
}
