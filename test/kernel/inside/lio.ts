// Inside a lone machine: the kernel's iSCSI target and initiator.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { exec } from '../../../common/exec.ts'
import { loadModules, whyNotInside } from './kernel.ts'

test("Debian's cloud kernel has the target and the initiator", { skip: whyNotInside }, async () => {
  await loadModules('target_core_mod', 'target_core_file', 'target_core_iblock')
  await loadModules('iscsi_target_mod', 'iscsi_tcp', 'sd_mod', 'dm_thin_pool')
  await exec(['mount', '-t', 'configfs', 'configfs', '/sys/kernel/config'])
  assert.ok(existsSync('/sys/kernel/config/target/core'))
})
