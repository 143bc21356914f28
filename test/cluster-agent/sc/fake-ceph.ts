// A cluster of Ceph as its programs show it: users, images, who is connected, who is locked out. It
// refuses every command that it does not know, and whatever Ceph would refuse.

import assert from 'node:assert/strict'
import type { RbdPlace } from '../../../cluster-agent/host/rbd.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'

const MIB = 1 << 20

interface Image {
  readonly id: string
  sizeBytes: number
  readonly snapshots: Map<string, number>
}

interface User {
  readonly key: string
  caps: Record<string, string>
}

/** A process that has images open. */
interface Client {
  readonly entity: string
  readonly image: string
  /** Is its line to the monitors there? */
  isConnected: boolean
}

export class FakeCeph {
  readonly users = new Map<string, User>()
  readonly images = new Map<string, Image>()
  readonly clients = new Map<string, Client>()
  readonly blocklist: string[] = []
  /** Everything that was run, without who runs it. */
  readonly ran: string[] = []
  /** Ends the host in the middle: throws before that command. */
  dieBefore: string | null = null
  fsid = 'f51d'
  roomBytes = 2 ** 40
  readonly #place: RbdPlace
  #last = 0

  constructor(place: RbdPlace) {
    this.#place = place
  }

  /** Opens an image as a user does, with its key; the address of its process. */
  open(entity: string, image: string): string {
    const caps = this.users.get(entity)?.caps['osd'] ?? assert.fail(`${entity} has no key`)
    const { id } = this.#image(image)
    for (const object of [`rbd_id.${image}`, `rbd_header.${id}`, `rbd_data.${id}.`]) {
      assert.ok(caps.includes(object), `${entity} may not use ${object}`)
    }
    this.#last += 1
    const address = `192.0.2.1:0/${this.#last}`
    this.clients.set(address, { entity, image, isConnected: true })
    return address
  }

  mayWrite(address: string): boolean {
    return this.clients.has(address) && !this.blocklist.includes(address)
  }

  readonly exec: Exec = async (argv, { input = '', okCodes = [0] } = {}) => {
    const { conf, user, keyring } = this.#place
    const [program, ...more] = argv
    // Nothing is shown as a file here.
    if (program === 'umount' && okCodes.includes(32)) return { stdout: '', stderr: '', code: 32 }
    const access = ['--conf', conf, '--id', user, '--keyring', keyring]
    assert.deepEqual(more.slice(0, access.length), access)
    const line = [program, ...more.slice(access.length)].join(' ')
    this.ran.push(line)
    if (this.dieBefore !== null && line.startsWith(this.dieBefore)) {
      throw new MalleeError('CommandFailed', `${line} was never run`)
    }
    const { stdout, code } = this.#run(line, input)
    if (!okCodes.includes(code)) throw new MalleeError('CommandFailed', `${line} exited ${code}`)
    return { stdout, stderr: '', code }
  }

  #run(line: string, input: string): { readonly stdout: string; readonly code: number } {
    const json = (value: unknown) => ({ stdout: JSON.stringify(value), code: 0 })
    const done = { stdout: '', code: 0 }
    const spec = `${this.#place.pool}/${this.#place.namespace}/`
    const words = line.split(' ').map((word) => word.replace(spec, ''))
    const [last = '', before = ''] = words.toReversed()
    const caps = /^ceph auth caps (\S+) mon (.*) osd (.*)$/.exec(line)
    if (caps !== null) {
      const [, entity = '', mon = '', osd = ''] = caps
      const found = this.users.get(entity) ?? assert.fail(`there is no ${entity}`)
      found.caps = { mon, osd }
      return done
    }
    switch (words.slice(0, line.startsWith('ceph tell') ? 4 : 3).join(' ')) {
      case 'ceph mon dump':
        return json({ fsid: this.fsid, quorum: [0], mons: [MONITOR] })
      case 'ceph df --format': {
        const stats = { stored: 0, max_avail: this.roomBytes }
        return json({ pools: [{ name: this.#place.pool, stats }] })
      }
      case 'ceph auth ls':
        return json({ auth_dump: [...this.users].map(([entity, one]) => ({ entity, ...one })) })
      case 'ceph auth import':
        return this.#import(input)
      case 'ceph auth rm':
        this.users.delete(last)
        return done
      case 'ceph tell mon.a sessions':
        return json(
          [...this.clients].flatMap(([address, { entity, isConnected }]) =>
            isConnected ? [{ entity_name: entity, addrs: { addrvec: [addressOf(address)] } }] : [],
          ),
        )
      case 'ceph osd blocklist':
        assert.equal(words[3], 'add')
        this.blocklist.push(before)
        return done
      case 'rbd namespace create':
        return done
      case 'rbd du --pool':
        return json({ images: [...this.images].flatMap(([name, image]) => listed(name, image)) })
      case 'rbd create --size':
        return this.#make(last, Number.parseInt(words[3] ?? '', 10) * MIB)
      case 'rbd resize --no-progress':
        this.#image(last).sizeBytes = Number.parseInt(words[4] ?? '', 10) * MIB
        return done
      case `rbd mv ${before}`:
        assert.ok(!this.images.has(last))
        this.images.set(last, this.#image(before))
        this.images.delete(before)
        return done
      case 'rbd rm --no-progress':
        assert.equal(this.#image(last).snapshots.size, 0, 'it has snapshots')
        this.images.delete(last)
        return done
      case 'rbd snap create':
      case 'rbd snap rm': {
        const [name = '', snapshot = ''] = last.split('@')
        const { snapshots, sizeBytes } = this.#image(name)
        assert.equal(snapshots.has(snapshot), words[2] === 'rm')
        if (words[2] === 'rm') snapshots.delete(snapshot)
        else snapshots.set(snapshot, sizeBytes)
        return done
      }
      case 'rbd status --format':
        return json({ watchers: this.#watchers(last) })
      case 'rbd lock ls':
        return json(
          [...this.clients].flatMap(([address, one]) => (one.image === last ? [{ address }] : [])),
        )
      case 'rbd diff --format':
        return json([{ offset: 0, length: 4 * MIB, exists: 'true' }])
      case 'rbd diff --from-snap':
        return json([{ offset: MIB, length: MIB, exists: 'true' }])
      default:
        return assert.fail(`Ceph does not know: ${line}`)
    }
  }

  #watchers(image: string): { readonly address: string }[] {
    return [...this.clients].flatMap(([address, one]) =>
      one.image === image && one.isConnected && !this.blocklist.includes(address)
        ? [{ address }]
        : [],
    )
  }

  #import(input: string) {
    const [, entity = '', key = '', mon = '', osd = ''] =
      /^\[(\S+)\]\n\tkey = (\S+)\n\tcaps mon = "([^"]*)"\n\tcaps osd = "([^"]*)"\n$/.exec(input) ??
      assert.fail('no keyring')
    this.users.set(entity, { key, caps: { mon, osd } })
    return { stdout: '', code: 0 }
  }

  #make(name: string, sizeBytes: number) {
    assert.ok(!this.images.has(name) && sizeBytes > 0)
    this.#last += 1
    this.images.set(name, { id: `1d${this.#last}`, sizeBytes, snapshots: new Map() })
    return { stdout: '', code: 0 }
  }

  #image(name: string): Image {
    return this.images.get(name) ?? assert.fail(`there is no image ${name}`)
  }
}

const MONITOR = {
  ...{ rank: 0, name: 'a' },
  public_addrs: {
    addrvec: [
      { type: 'v2', addr: '192.0.2.9:3300', nonce: 0 },
      { type: 'v1', addr: '192.0.2.9:6789', nonce: 0 },
    ],
  },
}

function addressOf(address: string): { readonly addr: string; readonly nonce: number } {
  const [addr = '', nonce] = address.split('/')
  return { addr, nonce: Number(nonce) }
}

function listed(name: string, { id, sizeBytes, snapshots }: Image): object[] {
  const sizes = { provisioned_size: sizeBytes, used_size: 0 }
  return [
    ...[...snapshots].map(([snapshot, size]) => ({
      ...{ name, id, snapshot, used_size: 0 },
      provisioned_size: size,
    })),
    { name, id, ...sizes },
  ]
}
