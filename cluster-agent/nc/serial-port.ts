// The serial port of a machine: QEMU's socket, which takes one client at a time. The console's log
// is QEMU's own and goes on; without a client the guest's words go there and nowhere else.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { MalleeError } from '../../common/errors.ts'
import { machineFiles } from '../host/qemu.ts'
import type { Qmp } from '../host/qmp.ts'

/** A machine as far as it is needed here. */
interface Ported {
  readonly id: string
  readonly dir: string
  monitor(): Qmp
}

/** Throws Conflict when another client has the port, Unavailable when QEMU does not take us. */
export async function openSerialPort(machine: Ported): Promise<Socket> {
  const { id, dir } = machine
  // QEMU would take a second client, too, and let it wait without a word.
  if (await isTaken(machine)) {
    throw new MalleeError('Conflict', `somebody on the host has the serial console of ${id}`)
  }
  const socket = connect(machineFiles(dir).console)
  try {
    await once(socket, 'connect')
    return socket
  } catch (cause) {
    socket.destroy()
    throw new MalleeError('Unavailable', `the serial port of ${id} does not answer`, { cause })
  }
}

/** QEMU names a chardev without a client `disconnected:unix:…` (its chardev/char-socket.c). */
async function isTaken(machine: Ported): Promise<boolean> {
  const all = await machine.monitor().command('query-chardev')
  const devices = all as readonly { readonly label: string; readonly filename: string }[]
  const console = devices.find(({ label }) => label === 'console')
  return console !== undefined && !console.filename.startsWith('disconnected:')
}
