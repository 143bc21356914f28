// ping(8) as a question: does a packet of this size come back?

import type { Exec } from '../../common/exec.ts'

/** IPv6 and ICMPv6 headers (RFC 8200, RFC 4443). */
const HEADERS = 48

/**
 * Whether an echo of `bytes`, headers included, is answered by a link-local address, unfragmented.
 * Two are sent within a third of a second, and waited for a second.
 */
export async function echoes(
  exec: Exec,
  device: string,
  address: string,
  bytes: number,
): Promise<boolean> {
  const size = String(bytes - HEADERS)
  const argv = ['ping', '-6', '-n', '-q', '-c', '2', '-i', '0.3', '-W', '1', '-M', 'do', '-s', size]
  const { code } = await exec([...argv, `${address}%${device}`], {
    okCodes: [0, 1, 2],
    timeoutMs: 5_000,
  })
  return code === 0
}

/** Sends one echo and hardly waits: for who counts what comes back, in whatever form. */
export async function knock(exec: Exec, device: string, address: string): Promise<void> {
  const argv = ['ping', '-n', '-q', '-c', '1', '-W', '0.1', '-I', device, address]
  await exec(argv, { okCodes: [0, 1, 2], timeoutMs: 5_000 })
}
