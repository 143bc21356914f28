// LUKS headers, by cryptsetup(8): made here, read by QEMU. Of version 1, the only one that QEMU
// reads (block/crypto.c).

import type { Exec } from '../../common/exec.ts'
import { LUKS_HEADER_BYTES } from '../../common/volume-sizes.ts'

const SECTOR_BYTES = 512
const FORMAT_MS = 30_000
/**
 * What makes a weak passphrase costly. The key has 256 bits of chance: to open it shall take no
 * time.
 */
const ITERATIONS = '1000'

/**
 * Makes a file of zeroes an encrypted one whose payload begins after LUKS_HEADER_BYTES. The key is
 * text without a line end. Throws CommandFailed.
 */
export async function formatLuks(exec: Exec, file: string, key: string): Promise<void> {
  const cipher = ['--cipher', 'aes-xts-plain64', '--key-size', '512', '--hash', 'sha256']
  const payload = ['--align-payload', String(LUKS_HEADER_BYTES / SECTOR_BYTES)]
  const open = ['--pbkdf-force-iterations', ITERATIONS, '--key-file', '-']
  const argv = ['cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks1', ...cipher]
  await exec([...argv, ...payload, ...open, file], { input: key, timeoutMs: FORMAT_MS })
}
