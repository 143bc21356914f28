// LVM in memory, as far as a thin back end uses it: it keeps state as lvm2 2.03 does, answers in
// its words, and throws on any other line.

import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { deltaText } from '../../support/thin-delta.ts'

const CHUNK_BYTES = 65_536
const MIB = 1 << 20

const NAMED = '--name (\\S+) --addtag (\\S+)'
const THIN = new RegExp(
  `^lvcreate --yes --type thin --thinpool pool --virtualsize (\\d+)b ${NAMED} vg0$`,
)
const SNAPSHOT = new RegExp(
  `^lvcreate --yes --snapshot --permission (rw?) --setactivationskip n ${NAMED} vg0/(\\S+)$`,
)

export interface FakeLv {
  name: string
  tags: string[]
  /** Null for one that is no thin volume. */
  pool: string | null
  kind: string
  sizeBytes: number
  isActive: boolean
  isReadOnly: boolean
  thinId: number | null
  /** Place of each chunk in the pool. */
  readonly chunks: Map<number, number>
}

/** What a test may change of the pool. */
export interface FakePool {
  tags: string[]
  sizeBytes: number
  metadataPercent: string
  zero: string
  whenFull: string
  discards: string
  health: string
  isActive: boolean
}

export class FakeLvm {
  readonly pool: FakePool = {
    ...{ tags: [], sizeBytes: 1024 * MIB, metadataPercent: '10.00', zero: 'zero', isActive: true },
    ...{ whenFull: 'queue', discards: 'passdown', health: '' },
  }
  readonly volumes = new Map<string, FakeLv>()
  extentBytes = 4 * MIB
  isInstalled = true
  scanLvs = 0
  /** Is thin_delta there? */
  hasDelta = true
  /** Does something else hold a snapshot of the metadata? */
  isHeld = false
  /** Volumes that do not become active. */
  readonly broken = new Set<string>()
  /** All that was run. */
  lines: string[] = []
  #lastId = 0
  #lastPlace = 0

  readonly exec: Exec = async (argv, options) => {
    const line = argv.join(' ')
    this.lines.push(line)
    if (line.startsWith('dmsetup ') && this.volumes.size === 0) {
      const stderr = 'Device does not exist.\nCommand failed.\n'
      if (options?.okCodes?.includes(1) !== true) throw fails(stderr)
      return { stdout: '', stderr, code: 1 }
    }
    const stdout = this.#run(argv)
    return { stdout, stderr: '', code: 0 }
  }

  /** Of the lines, those that begin so. */
  count(start: string): number {
    return this.lines.filter((line) => line.startsWith(start)).length
  }

  lv(name: string): FakeLv {
    const found = this.volumes.get(name)
    if (found === undefined) throw fails(`Failed to find logical volume "vg0/${name}"`)
    return found
  }

  add(name: string, fields: Partial<FakeLv> = {}): FakeLv {
    if (this.volumes.has(name)) {
      throw fails(`Logical Volume "${name}" already exists in volume group "vg0"`)
    }
    const none = { tags: [], pool: 'pool', kind: 'thin', sizeBytes: 4 * MIB, isActive: true }
    const id = { thinId: ++this.#lastId, isReadOnly: false, chunks: new Map<number, number>() }
    const lv: FakeLv = { name, ...none, ...id, ...fields }
    this.volumes.set(name, lv)
    return lv
  }

  /** A guest writes; what is shared gets a new place. */
  write(name: string, from: number, count: number): void {
    const { chunks } = this.lv(name)
    for (let chunk = from; chunk < from + count; chunk++) chunks.set(chunk, ++this.#lastPlace)
  }

  /** As after a reboot without anybody who makes volumes active. */
  reboot(): void {
    for (const lv of this.volumes.values()) lv.isActive = false
    this.pool.isActive = false
  }

  #run(argv: readonly string[]): string {
    const line = argv.join(' ')
    const program = argv[0]
    if (program === 'lvs') return this.#lvs(line)
    if (line === 'lvmconfig --typeconfig full devices/scan_lvs') return `scan_lvs=${this.scanLvs}\n`
    if (program === 'sync' || program === 'cryptsetup') return ''
    const last = argv.at(-1) ?? ''
    const [, size, name = '', tag = ''] = THIN.exec(line) ?? []
    if (size !== undefined) {
      this.#checkRoom()
      this.add(name, { tags: [tag], sizeBytes: Number(size) })
      return ''
    }
    const [, mode, copy = '', mark = '', origin = ''] = SNAPSHOT.exec(line) ?? []
    if (mode !== undefined) {
      const { sizeBytes, chunks } = this.lv(origin)
      this.#checkRoom()
      const of = { sizeBytes, chunks: new Map(chunks), isReadOnly: mode === 'r' }
      this.add(copy, { tags: [mark], ...of })
      return ''
    }
    const [, bytes, grown = ''] = /^lvextend --size (\d+)b vg0\/(\S+)$/.exec(line) ?? []
    if (bytes !== undefined) {
      const lv = this.lv(grown)
      if (Number(bytes) <= lv.sizeBytes) throw fails('New size matches existing size')
      lv.sizeBytes = Number(bytes)
      return ''
    }
    const [, old, now = ''] = /^lvrename vg0 (\S+) (\S+)$/.exec(line) ?? []
    if (old !== undefined) {
      const lv = this.lv(old)
      if (this.volumes.has(now)) throw fails(`Logical Volume "${now}" already exists`)
      this.volumes.delete(old)
      this.volumes.set(now, lv)
      lv.name = now
      return ''
    }
    const [, gone] = /^lvremove --yes vg0\/(\S+)$/.exec(line) ?? []
    if (gone !== undefined) {
      this.lv(gone)
      this.volumes.delete(gone)
      return ''
    }
    if (line.startsWith('lvchange ')) return this.#change(argv.slice(1), last)
    return this.#metadata(line)
  }

  #change(args: readonly string[], last: string): string {
    const names = args.filter((arg) => arg.startsWith('vg0/')).map((arg) => arg.slice(4))
    const flags = args.filter((arg) => !arg.startsWith('vg0/')).join(' ')
    const isPool = last === 'vg0/pool' && names.length === 1
    const [, isOn, tag = ''] = /^--(add|del)tag (\S+)$/.exec(flags) ?? []
    if (isPool && isOn !== undefined) {
      this.pool.tags = this.pool.tags.filter((one) => one !== tag)
      if (isOn === 'add') this.pool.tags.push(tag)
      return ''
    }
    if (isPool && flags === '--errorwhenfull y') {
      if (this.pool.whenFull === 'error') throw fails('Error when full is already set')
      this.pool.whenFull = 'error'
      return ''
    }
    const isActive = flags === '--activate y --ignoreactivationskip'
    if (!isActive && flags !== '--activate n') throw unknown(`lvchange ${args.join(' ')}`)
    for (const name of names) {
      if (name === 'pool') this.pool.isActive = isActive
      else if (!isActive || !this.broken.has(name)) this.lv(name).isActive = isActive
    }
    if (isActive && names.length > 0) this.pool.isActive = true
    const bad = names.find((name) => isActive && this.broken.has(name))
    if (bad !== undefined) throw fails(`Check of pool vg0/pool failed for ${bad}`)
    return ''
  }

  #metadata(line: string): string {
    const device = 'vg0-pool-tpool'
    switch (line) {
      case `dmsetup status --target thin-pool ${device}`:
        return `0 2048 thin-pool 4 120/1024 1/16 ${this.isHeld ? '78' : '-'} rw discard_passdown - 256`
      case `dmsetup message ${device} 0 reserve_metadata_snap`:
        if (this.isHeld) throw fails('message ioctl failed: Device or resource busy')
        this.isHeld = true
        return ''
      case `dmsetup message ${device} 0 release_metadata_snap`:
        if (!this.isHeld) throw fails('message ioctl failed: Invalid argument')
        this.isHeld = false
        return ''
      default: {
        const delta =
          /^thin_delta --metadata-snap --thin1 (\d+) --thin2 (\d+) \/dev\/mapper\/vg0-pool_tmeta$/
        const [, from, to] = delta.exec(line) ?? []
        if (from === undefined) throw unknown(line)
        if (!this.isHeld) throw fails('no metadata snapshot')
        if (!this.hasDelta) throw fails('thin_delta cannot be started')
        return deltaText(this.#byId(Number(from)), this.#byId(Number(to)))
      }
    }
  }

  #byId(id: number): ReadonlyMap<number, number> {
    const found = [...this.volumes.values()].find(({ thinId }) => thinId === id)
    if (found === undefined) throw fails(`Unable to find mapping tree for ${id}`)
    return found.chunks
  }

  #checkRoom(): void {
    if (this.#used() < this.pool.sizeBytes) return
    throw fails(
      'Cannot create new thin volume, free space in thin pool vg0/pool reached threshold.',
    )
  }

  #used(): number {
    const places = [...this.volumes.values()].flatMap(({ chunks }) => [...chunks.values()])
    return new Set(places).size * CHUNK_BYTES
  }

  #lvs(line: string): string {
    if (!this.isInstalled) throw new MalleeError('CommandFailed', 'lvs cannot be started: ENOENT')
    const call = /^lvs --reportformat json --units b --nosuffix -o ([a-z_,]+) (\S+)$/
    const [, fields = '', vg] = call.exec(line) ?? []
    if (vg !== 'vg0') throw fails(`Volume group "${vg}" not found`)
    const rows = [this.#poolRow(), ...[...this.volumes.values()].map((lv) => this.#row(lv))]
    const shown = rows.map((row) =>
      Object.fromEntries(fields.split(',').map((field) => [field, told(row, field)])),
    )
    return JSON.stringify({ report: [{ lv: shown }] })
  }

  #poolRow(): Record<string, string> {
    const { tags, sizeBytes, metadataPercent, zero, whenFull, discards, health } = this.pool
    const used = ((this.#used() / sizeBytes) * 100).toFixed(2)
    return {
      ...{ lv_name: 'pool', segtype: 'thin-pool', lv_tags: tags.join(), pool_lv: '' },
      ...{ lv_size: String(sizeBytes), lv_active: '', thin_id: '', zero, discards },
      ...{ data_percent: this.pool.isActive ? used : '' },
      ...{ metadata_percent: this.pool.isActive ? metadataPercent : '' },
      ...{ vg_extent_size: String(this.extentBytes), chunk_size: String(CHUNK_BYTES) },
      ...{ lv_when_full: whenFull, lv_health_status: health },
    }
  }

  #row({ name, kind, tags, pool, sizeBytes, isActive, thinId, chunks }: FakeLv) {
    const used = (((chunks.size * CHUNK_BYTES) / sizeBytes) * 100).toFixed(2)
    return {
      ...{ lv_name: name, segtype: kind, lv_tags: tags.join(), pool_lv: pool ?? '' },
      ...{ lv_size: String(sizeBytes), lv_active: isActive ? 'active' : '' },
      ...{ data_percent: isActive ? used : '', metadata_percent: '', thin_id: `${thinId ?? ''}` },
      ...{ vg_extent_size: String(this.extentBytes), chunk_size: '0', zero: 'zero' },
      ...{ lv_when_full: '', discards: 'passdown', lv_health_status: '' },
    }
  }
}

function told(row: Readonly<Record<string, string>>, field: string): string {
  const value = row[field]
  if (value === undefined) throw unknown(`lvs -o ${field}`)
  return value
}

function fails(why: string): MalleeError {
  return new MalleeError('CommandFailed', `exited 5: ${why}`)
}

function unknown(line: string): Error {
  return new Error(`no such command in this test: ${line}`)
}
