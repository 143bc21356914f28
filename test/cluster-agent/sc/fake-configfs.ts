// LIO's tree in configfs as a model: folders that come with their files, links that hold what they
// lead to, and writes that are commands. It refuses what the kernel refuses, and all that it does
// not know. Against the kernel itself: test/kernel/inside/lio.ts.

import assert from 'node:assert/strict'
import type { ConfigTree } from '../../../cluster-agent/host/config-tree.ts'
import { MalleeError } from '../../../common/errors.ts'

type Node = { readonly files: Map<string, string>; link: string | null }

const IQN = '(?:iqn\\.[^/]+)'
const GROUP = `iscsi/${IQN}/tpgt_1`
const ATTRIBUTES = ['authentication', 'generate_node_acls', 'demo_mode_discovery']

/** Files of each kind of folder, as they are when it is made. */
const KINDS: readonly (readonly [RegExp, Readonly<Record<string, string>>])[] = [
  [/^core$/, {}],
  [/^core\/(?:fileio|iblock)_\d+$/, { hba_info: '', hba_mode: '0' }],
  [
    /^core\/(?:fileio|iblock)_\d+\/[^/]+$/,
    {
      ...{ control: '', enable: '0', udev_path: '', info: 'Status: DEACTIVATED' },
      ...{ 'wwn/vendor_id': '', 'wwn/product_id': '', 'wwn/vpd_unit_serial': '' },
      ...{ 'attrib/emulate_tpu': '0', 'attrib/max_unmap_block_desc_count': '1' },
    },
  ],
  [/^iscsi$/, { lio_version: 'v4' }],
  [new RegExp(`^iscsi/${IQN}$`), {}],
  [
    new RegExp(`^${GROUP}$`),
    Object.fromEntries([['enable', '0'], ...ATTRIBUTES.map((name) => [`attrib/${name}`, ''])]),
  ],
  [new RegExp(`^${GROUP}/lun/lun_\\d+$`), {}],
  [new RegExp(`^${GROUP}/np/[^/]+:\\d+$`), {}],
  [
    new RegExp(`^${GROUP}/acls/${IQN}$`),
    { info: 'No active iSCSI Session', 'auth/userid': '', 'auth/password': '' },
  ],
  [new RegExp(`^${GROUP}/acls/${IQN}/lun_\\d+$`), {}],
]

export class FakeConfigfs implements ConfigTree {
  readonly #folders = new Map<string, Node>(
    ['core', 'core/alua'].map((name) => [name, { files: new Map(), link: null }]),
  )
  /** Folders whose files root alone reads. */
  readonly guarded = new Set<string>()
  /** Sizes of files, as their file system has them. */
  readonly sizes = new Map<string, number>()
  /** So many more commands are done; the next one is not, as after a crash. */
  left = Number.POSITIVE_INFINITY

  list = async (path: string): Promise<readonly string[]> => {
    const files = [...(this.#folders.get(path)?.files.keys() ?? [])]
    const below = [...this.#folders.keys(), ...files.map((name) => `${path}/${name}`)]
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1).split('/')[0] ?? '')
    return [...new Set(below)].toSorted()
  }

  read = async (path: string): Promise<string | null> => this.#file(path)?.trim() ?? null

  write = async (path: string, text: string): Promise<void> => {
    this.#count()
    const old = this.#file(path)
    if (old === null) throw refusal(path, 'EACCES')
    const [folder, name] = this.#split(path)
    const node = this.#folders.get(folder)
    assert.ok(node)
    if (name === 'enable' && folder.startsWith('core/')) {
      if (old === '1' || node.files.get('control') === '') throw refusal(path, 'EINVAL')
    }
    if (name === 'control') {
      const set = Object.fromEntries(text.split(',').map((one) => one.split('=')))
      const size = set['fd_dev_size'] ?? `${this.sizes.get(set['udev_path']) ?? ''}`
      node.files.set('info', `Status: ACTIVATED  SectorSize: 512\n  File: x  Size: ${size}  Mode`)
    }
    if (name === 'enable' && text === '0') this.#endSessions(folder)
    if (name === 'auth/userid' || name === 'auth/password') {
      assert.ok(this.guarded.has(`${folder}/auth`), 'a secret that all may read')
    }
    const isSerial = name === 'wwn/vpd_unit_serial'
    node.files.set(name, isSerial ? `T10 VPD Unit Serial Number: ${text}` : text)
  }

  make = async (path: string): Promise<boolean> => {
    this.#count()
    if (this.#folders.has(path)) return false
    const kind = KINDS.find(([pattern]) => pattern.test(path))
    if (kind === undefined) throw refusal(path, 'EINVAL')
    if (!(await this.#hasParent(path))) throw refusal(path, 'ENOENT')
    this.#folders.set(path, { files: new Map(Object.entries(kind[1])), link: null })
    return true
  }

  remove = async (path: string): Promise<void> => {
    this.#count()
    const node = this.#folders.get(path)
    if (node === undefined) return
    const isFull = [...this.#folders.keys()].some((one) => one.startsWith(`${path}/`))
    if (isFull || node.link !== null) throw refusal(path, 'ENOTEMPTY')
    if ([...this.#folders.values()].some(({ link }) => link === path)) throw refusal(path, 'EBUSY')
    this.#folders.delete(path)
  }

  link = async (path: string, to: string): Promise<void> => {
    this.#count()
    const node = this.#folders.get(this.#above(path))
    if (node === undefined || !this.#folders.has(to)) throw refusal(path, 'ENOENT')
    // What is not switched on cannot be served.
    if (to.startsWith('core/') && this.#file(`${to}/enable`) !== '1') throw refusal(path, 'ENODEV')
    node.link ??= to
  }

  unlink = async (path: string): Promise<void> => {
    this.#count()
    const node = this.#folders.get(this.#above(path))
    if (node === undefined) return
    assert.ok(!this.hasSessions(path), 'taken away under a session')
    node.link = null
  }

  linked = async (path: string): Promise<string | null> =>
    this.#folders.get(this.#above(path))?.link ?? null

  guard = async (path: string): Promise<void> => {
    this.#count()
    this.guarded.add(path)
  }

  /** Logs in, as an initiator does: false when it is refused. */
  login(iqn: string, initiator: string, user: string, secret: string): boolean {
    const group = `iscsi/${iqn}/tpgt_1`
    const acl = `${group}/acls/${initiator}`
    if (!this.#folders.has(group)) return false
    const asks = this.#file(`${group}/attrib/authentication`) === '1'
    assert.ok(asks && this.#file(`${group}/attrib/generate_node_acls`) === '0', 'an open door')
    const isRight =
      this.#file(`${group}/enable`) === '1' &&
      this.#file(`${acl}/auth/userid`) === user &&
      this.#file(`${acl}/auth/password`) === secret
    if (isRight) this.#folders.get(acl)?.files.set('info', `InitiatorName: ${initiator}`)
    return isRight
  }

  /** Of the target that a path is of. */
  hasSessions(path: string): boolean {
    const [group] = /^iscsi\/[^/]+\/tpgt_1/.exec(path) ?? []
    return [...this.#folders].some(
      ([name, { files }]) =>
        name.startsWith(`${group}/acls/`) &&
        files.get('info')?.startsWith('InitiatorName') === true,
    )
  }

  #endSessions(group: string): void {
    for (const [name, { files }] of this.#folders) {
      const isAcl = name.startsWith(`${group}/acls/`) && files.has('info')
      if (isAcl) files.set('info', 'No active iSCSI Session')
    }
  }

  #file(path: string): string | null {
    const [folder, name] = this.#split(path)
    return this.#folders.get(folder)?.files.get(name) ?? null
  }

  /** Files may be in folders that came with theirs. */
  #split(path: string): [string, string] {
    let folder = path
    do folder = this.#above(folder)
    while (folder !== '' && !this.#folders.has(folder))
    return [folder, path.slice(folder.length + 1)]
  }

  async #hasParent(path: string): Promise<boolean> {
    const above = this.#above(path)
    if (above === '' || this.#folders.has(above)) return true
    return /\/(?:lun|np|acls)$/.test(above) && this.#folders.has(this.#above(above))
  }

  #above(path: string): string {
    return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
  }

  #count(): void {
    this.left -= 1
    if (this.left < 0) throw new MalleeError('Unavailable', 'the agent has crashed')
  }
}

function refusal(path: string, why: string): MalleeError {
  return new MalleeError('CommandFailed', `the kernel refuses ${path}: ${why}`)
}
