// The NBD server against the clients that QEMU brings, and against what is no client.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { checkImage } from '../../../cluster-agent/host/qemu-img.ts'
import type { Images } from '../../../cluster-agent/images/images.ts'
import { LazyImages } from '../../../cluster-agent/images/lazy-images.ts'
import { type NbdExport, NbdServer } from '../../../cluster-agent/images/nbd-server.ts'
import { CHUNK_BYTES, ChunkListMaker } from '../../../common/chunk-list.ts'
import { systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'
import { fileImages, gate } from '../../support/file-images.ts'
import { testImage } from './support.ts'

const OPTIONS = { starts: true, fillAfterMs: 0, fromBytes: 0, clock: systemClock, log: silentLog }
const GOOD = Buffer.alloc(4096, 7)

describe('images over NBD', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-nbd-'))
  const socket = join(dir, 'nbd.sock')
  let server: NbdServer

  before(async () => {
    const good = {
      sizeBytes: GOOD.length,
      read: async (at: number, n: number) => GOOD.subarray(at, at + n),
    }
    const bad = {
      sizeBytes: 1 << 20,
      read: async (at: number): Promise<Buffer> => {
        if (at > 0) throw new Error('no such byte')
        return Buffer.alloc(4096)
      },
    }
    const exports = new Map<string, NbdExport>([
      ['good', good],
      ['bad', bad],
    ])
    server = await NbdServer.listen({
      path: socket,
      find: (name) => exports.get(name) ?? null,
      names: () => [...exports.keys()],
      log: silentLog,
    })
  })
  after(async () => {
    await server.close()
    assert.ok(!existsSync(socket))
    rmSync(dir, { recursive: true })
  })

  const uri = (name: string, at = socket) => `nbd+unix:///${name}?socket=${at}`
  const qemuIo = async (name: string, command: string, more = ['-r']) => {
    const { stdout, stderr } = await exec(
      ['qemu-io', ...more, '-f', 'raw', uri(name), '-c', command],
      { okCodes: [0, 1] },
    )
    return stdout + stderr
  }

  test('only root reaches it, and its exports have names', async () => {
    assert.equal(statSync(socket).mode & 0o777, 0o600)
    const { stdout } = await exec(['qemu-nbd', '--list', '-k', socket])
    assert.match(stdout, /export: 'good'/)
    assert.match(stdout, /size: {2}4096/)
    assert.match(stdout, /readonly/)
    await assert.rejects(exec(['qemu-img', 'info', uri('other')]), /not available/)
  })

  test('it reads, does not write, and says I/O error of what cannot be read', async () => {
    assert.match(await qemuIo('good', 'read -P 7 0 4096'), /read 4096\/4096 bytes/)
    assert.match(await qemuIo('good', 'write 0 512', []), /Permission denied/)
    assert.match(await qemuIo('bad', 'read 65536 4096'), /Input\/output error/)
    assert.match(await qemuIo('bad', 'read 0 4096'), /read 4096\/4096 bytes/)
  })

  test('what is not NBD, or asks for what is not there, does no harm', async () => {
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\nmore than enough bytes for an option'),
      Buffer.concat([Buffer.from([0, 0, 0, 3]), option(7, Buffer.alloc(0), 1 << 30)]),
      Buffer.concat([Buffer.from([0, 0, 0, 3]), option(1, Buffer.from('unknown'))]),
      Buffer.concat([Buffer.from([0, 0, 0, 3]), ...Array<Buffer>(100).fill(option(99))]),
      Buffer.concat([chosen(), Buffer.alloc(28, 1)]),
      Buffer.concat([chosen(), request(1, 0n, 4096)]),
    ]) {
      const client = await dial()
      client.write(bytes)
      await once(client, 'close')
    }
    for (const [command, offset, length] of [
      [0, 4000n, 4096],
      [0, 2n ** 63n, 1],
      [0, 0n, 0],
      [0, 0n, 64 << 20],
      [6, 0n, 0],
    ] as const) {
      const client = await dial()
      client.write(Buffer.concat([chosen(), request(command, offset, length)]))
      const error = await new Promise<number>((resolve) => {
        let heard = Buffer.alloc(0)
        client.on('data', (bytes: Buffer) => {
          heard = Buffer.concat([heard, bytes])
          // 18 bytes of greeting, 10 of the export, and the answer.
          if (heard.length >= 28 + 16) resolve(heard.readUInt32BE(32))
        })
      })
      assert.ok(error > 0, `${command} ${offset} ${length}`)
      client.destroy()
    }
    assert.match(await qemuIo('good', 'read -P 7 0 4096'), /read 4096\/4096 bytes/)
  })

  test('an image that still comes is read where it is, and waited for where it is not', async (t) => {
    const image = testImage(12, [2])
    const file = join(dir, 'image')
    writeFileSync(file, image.bytes)
    const held = gate((index) => index >= 9)
    const images = fileImages({ file, list: image.list }, join(dir, 'images'), {
      before: held.before,
    })
    const at = join(dir, 'lazy.sock')
    const lazy = lazyOf(images, at)
    t.after(async () => {
      await lazy.close()
      await images.close()
    })
    await lazy.serve(image.ref)
    const { sha256 } = image.ref
    const read = (offset: number, length: number) =>
      exec(['qemu-io', '-r', '-f', 'raw', uri(sha256, at), '-c', `read -v ${offset} ${length}`])
    const { stdout } = await read(5 * CHUNK_BYTES + 16, 16)
    const want = image.bytes.subarray(5 * CHUNK_BYTES + 16, 5 * CHUNK_BYTES + 32)
    assert.ok(stdout.includes([...want].map((n) => n.toString(16).padStart(2, '0')).join(' ')))
    let isRead = false
    const waiting = read(11 * CHUNK_BYTES, 16).then(() => {
      isRead = true
    })
    await until('it is asked for', () => held.waiting().includes(11))
    assert.ok(!isRead && !(await images.isWhole(sha256)))
    held.release()
    await waiting
    const copy = join(dir, 'copy')
    await exec(['qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri(sha256, at), copy])
    assert.ok(readFileSync(copy).equals(image.bytes))
    await until('it is whole', () => images.isWhole(sha256))
    await lazy.close()
    await lazy.serve(image.ref)
    await read(11 * CHUNK_BYTES, 16)
  })

  test('a qcow2 image is looked into before it is here', async (t) => {
    const file = join(dir, 'image.qcow2')
    await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', file, '64M'])
    await exec(['qemu-io', '-f', 'qcow2', file, '-c', 'write -P 9 33M 2M'])
    const bytes = readFileSync(file)
    const maker = new ChunkListMaker()
    maker.add(bytes)
    const list = maker.end()
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const images = fileImages({ file, list }, join(dir, 'images'))
    const lazy = lazyOf(images, join(dir, 'q.sock'))
    t.after(async () => {
      await lazy.close()
      await images.close()
    })
    await lazy.serve({ sha256, listSha256: list.sha256 })
    assert.equal(await checkImage(exec, uri(sha256, join(dir, 'q.sock')), 'qcow2'), 64 << 20)
    await assert.rejects(checkImage(exec, uri('good'), 'qcow2'), { code: 'ImageCorrupt' })
  })

  async function dial(): Promise<Socket> {
    const client = connect(socket)
    client.on('error', () => undefined)
    client.resume()
    await once(client, 'connect')
    return client
  }
})

function lazyOf(images: Images, at: string): LazyImages {
  return new LazyImages({ images, socket: at, ...OPTIONS })
}

function option(number: number, data = Buffer.alloc(0), length = data.length): Buffer {
  const head = Buffer.alloc(16)
  head.write('IHAVEOPT', 'latin1')
  head.writeUInt32BE(number, 8)
  head.writeUInt32BE(length, 12)
  return Buffer.concat([head, data])
}

/** The flags of a client, and its choice of `good`. */
function chosen(): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 3]), option(1, Buffer.from('good'))])
}

function request(command: number, offset: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(0x25609513, 0)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(offset, 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}
