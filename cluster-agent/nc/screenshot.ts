// What is on a guest's screen: QEMU writes it down as a portable pixmap, we make a JPEG file of it.

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Qmp } from '../host/qmp.ts'
import { encodeJpeg, type Picture } from '../jpeg/encode.ts'

/** A machine as far as it is needed here. */
interface Screened {
  readonly id: string
  readonly dir: string
  monitor(): Qmp
}

/**
 * `fileName` is one that nobody else uses now. Throws NotSupported for a machine without a screen:
 * one that an older version started.
 */
export async function screenshot(
  machine: Screened,
  wakeUp: boolean,
  fileName: string,
): Promise<Uint8Array> {
  const filename = join(machine.dir, fileName)
  const qmp = machine.monitor()
  try {
    if (wakeUp) await qmp.command('send-key', { keys: [{ type: 'qcode', data: 'shift' }] })
    await qmp.command('screendump', { filename })
    return encodeJpeg(parsePixmap(await readFile(filename)))
  } catch (cause) {
    if (codeOf(cause) !== 'CommandFailed') throw cause
    const text = `the machine of ${machine.id} has no screen: ${messageOf(cause)}`
    throw new MalleeError('NotSupported', text, { cause })
  } finally {
    await rm(filename, { force: true })
  }
}

/** The binary kind with one byte a colour, as QEMU writes it (netpbm, ppm). */
export function parsePixmap(bytes: Uint8Array): Picture {
  const head = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  const [all = '', width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(head) ?? []
  const picture = {
    width: Number(width),
    height: Number(height),
    rgb: bytes.subarray(all.length),
  }
  if (all === '' || picture.rgb.length !== picture.width * picture.height * 3) {
    throw new MalleeError('BadMessage', 'QEMU wrote no pixmap that is understood')
  }
  return picture
}
