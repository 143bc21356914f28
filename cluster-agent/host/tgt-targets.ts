// What tgtd shows of its targets, as `tgtadm --mode target --op show` prints it: four spaces deeper
// for each level (tgt, usr/target.c, tgt_target_show_all).

import { MalleeError } from '../../common/errors.ts'

export interface TgtTarget {
  readonly tid: number
  readonly iqn: string
  /** Without the controller, number 0, which every target has. */
  readonly luns: readonly TgtLun[]
  /** CHAP users, in tgtd's order. */
  readonly accounts: readonly string[]
  /** IQNs that may log in. */
  readonly initiators: readonly string[]
  readonly sessions: readonly TgtSession[]
}

export interface TgtLun {
  readonly lun: number
  readonly serial: string
  /** See `shownMegabytes`. */
  readonly megabytes: number
  readonly file: string
  /** Does it take discards? */
  readonly thin: boolean
}

export interface TgtSession {
  readonly sid: number
  readonly initiator: string
  readonly cids: readonly number[]
}

interface Line {
  readonly depth: number
  readonly text: string
}

const INDENT = 4
const SECTION_DEPTH = 1
const CONTROLLER = 0

/** What tgtd shows for a size: sizes that differ by 1 MiB differ here. `bytes` below 2^53. */
export function shownMegabytes(bytes: number): number {
  const sectors = Math.floor(bytes / 512)
  return Math.floor((sectors - Math.floor(sectors / 625) + 974) / 1950)
}

/** The multiple of `unitBytes` that is shown so, at least 1 MiB apart; null when none is. */
export function bytesOfMegabytes(megabytes: number, unitBytes: number): number | null {
  const near = Math.round((megabytes * 1e6) / unitBytes)
  const units = [near - 1, near, near + 1]
  const found = units.find((count) => shownMegabytes(count * unitBytes) === megabytes)
  return found === undefined ? null : found * unitBytes
}

/** Throws CommandFailed for what is no such list. */
export function parseTargets(text: string): TgtTarget[] {
  return blocks(indented(text), 0).map(([head, lines]) => {
    const [, tid, iqn] = /^Target (\d+): (\S+)$/.exec(head) ?? []
    if (tid === undefined || iqn === undefined) throw strange(head)
    const sections = new Map(blocks(lines, SECTION_DEPTH))
    const of = (name: string): readonly Line[] => {
      const section = sections.get(`${name} information:`)
      if (section === undefined) throw strange(`${head}, which has no ${name} information`)
      return section
    }
    return {
      tid: Number(tid),
      iqn,
      luns: blocks(of('LUN'), SECTION_DEPTH + 1)
        .map(parseLun)
        .filter(({ lun }) => lun !== CONTROLLER),
      accounts: of('Account').map((line) => line.text),
      initiators: of('ACL').map((line) => line.text),
      sessions: blocks(of('I_T nexus'), SECTION_DEPTH + 1).map(parseSession),
    }
  })
}

/** The names below `Account list:`. */
export function parseAccounts(text: string): string[] {
  return indented(text)
    .filter(({ depth }) => depth === 1)
    .map((line) => line.text)
}

function parseLun([head, lines]: readonly [string, readonly Line[]]): TgtLun {
  const field = (name: string): string => {
    const line = lines.find(({ text }) => text.startsWith(`${name}: `))
    if (line === undefined) throw strange(`${head}, which has no ${name}`)
    return line.text.slice(name.length + 2)
  }
  const number = /^LUN: (\d+)$/.exec(head)?.[1]
  const megabytes = /^(\d+) MB/.exec(field('Size'))?.[1]
  if (number === undefined || megabytes === undefined) throw strange(head)
  return {
    lun: Number(number),
    serial: field('SCSI SN'),
    megabytes: Number(megabytes),
    file: field('Backing store path'),
    thin: field('Thin-provisioning') === 'Yes',
  }
}

function parseSession([head, lines]: readonly [string, readonly Line[]]): TgtSession {
  const sid = /^I_T nexus: (\d+)$/.exec(head)?.[1]
  const initiator = first(lines, /^Initiator: (\S+) alias: /)
  if (sid === undefined || initiator === undefined) throw strange(head)
  const cids = lines.flatMap(({ text }) => /^Connection: (\d+)$/.exec(text)?.[1] ?? []).map(Number)
  return { sid: Number(sid), initiator, cids }
}

function first(lines: readonly Line[], pattern: RegExp): string | undefined {
  for (const { text } of lines) {
    const found = pattern.exec(text)?.[1]
    if (found !== undefined) return found
  }
  return undefined
}

function indented(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const content = line.trimStart()
      return { depth: (line.length - content.length) / INDENT, text: content.trimEnd() }
    })
}

/** Each line of a depth with those below it. */
function blocks(lines: readonly Line[], depth: number): [string, Line[]][] {
  const all: [string, Line[]][] = []
  for (const line of lines) {
    const last = all.at(-1)
    if (line.depth === depth) all.push([line.text, []])
    else if (line.depth > depth && last !== undefined) last[1].push(line)
    else throw strange(line.text)
  }
  return all
}

function strange(what: string): MalleeError {
  return new MalleeError('CommandFailed', `tgtd showed something strange: ${what.slice(0, 200)}`)
}
