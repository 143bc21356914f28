// A part of configfs (Documentation/filesystems/configfs.rst of Linux) as folders that are objects
// of the kernel: making one makes its files, links are its relations, and what is written to a file
// is a command. All paths are relative to the tree's root.

import {
  chmod,
  constants,
  mkdir,
  readdir,
  readFile,
  readlink,
  rmdir,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { MalleeError } from '../../common/errors.ts'

/** What the kernel refuses throws CommandFailed with path and error, without what was written. */
export interface ConfigTree {
  /** Names of what is in a folder, in order; empty when it is not there. */
  readonly list: (path: string) => Promise<readonly string[]>
  /** Of a file, without blanks at its ends; null when it is not there. */
  readonly read: (path: string) => Promise<string | null>
  /** All at once: each write is a command. */
  readonly write: (path: string, text: string) => Promise<void>
  /** False when it is there already. Folders above it must be there. */
  readonly make: (path: string) => Promise<boolean>
  /** A folder, with the files that came with it. Also when it is not there. */
  readonly remove: (path: string) => Promise<void>
  /** Also when it is there. */
  readonly link: (path: string, to: string) => Promise<void>
  /** Also when it is not there. */
  readonly unlink: (path: string) => Promise<void>
  /** Where a link leads; null when it is not there. */
  readonly linked: (path: string) => Promise<string | null>
  /** Keeps a folder's files from all users but root. */
  readonly guard: (path: string) => Promise<void>
}

/** `root` ends with a folder's name, which links name too: the kernel writes them relative. */
export function configTree(root: string): ConfigTree {
  const at = (path: string): string => join(root, path)
  const inRoot = `${root.slice(root.lastIndexOf('/'))}/`
  const tell = async <T>(path: string, done: Promise<T>, ...others: [string, T][]): Promise<T> => {
    try {
      return await done
    } catch (error) {
      const { code = 'it failed' } = error as NodeJS.ErrnoException
      const known = others.find(([name]) => name === code)
      if (known !== undefined) return known[1]
      // Not the error itself: some name what was written.
      throw new MalleeError('CommandFailed', `the kernel refuses ${at(path)}: ${code}`)
    }
  }
  return {
    list: async (path) => (await tell(path, readdir(at(path)), ['ENOENT', []])).toSorted(),
    read: async (path) => {
      const gone = ['ENOENT', 'ENOTDIR'].map((code): [string, null] => [code, null])
      const text = await tell<string | null>(path, readFile(at(path), 'utf8'), ...gone)
      return text?.trim() ?? null
    },
    write: (path, text) => tell(path, writeFile(at(path), text, { flag: constants.O_WRONLY })),
    make: (path) =>
      tell(
        path,
        mkdir(at(path)).then(() => true),
        ['EEXIST', false],
      ),
    remove: (path) => tell(path, rmdir(at(path)), ['ENOENT', undefined]),
    link: (path, to) => tell(path, symlink(at(to), at(path)), ['EEXIST', undefined]),
    unlink: (path) => tell(path, unlink(at(path)), ['ENOENT', undefined]),
    linked: async (path) => {
      const to = await tell<string | null>(path, readlink(at(path)), ['ENOENT', null])
      return to === null ? null : to.slice(to.lastIndexOf(inRoot) + inRoot.length)
    },
    guard: (path) => tell(path, chmod(at(path), 0o700)),
  }
}
