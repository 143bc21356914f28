// What a file's first bytes say of the disk that it is: formats that hosts run, and those that they
// do not and that somebody has to convert.

const QCOW2 = 'QFI\xfb'
/** Bytes from the start on that tell. */
export const FORMAT_BYTES = 512

/** Where others have their marks: QEMU's block drivers, POSIX's ustar for an OVA. */
const FOREIGN: readonly (readonly [name: string, at: number, mark: string])[] = [
  ['VMDK', 0, 'KDMV'],
  ['VMDK', 0, '# Disk DescriptorFile'],
  ['VHDX', 0, 'vhdxfile'],
  // A copy of its footer; the fixed kind has none here and is a raw disk with a footer.
  ['VHD', 0, 'conectix'],
  ['VDI', 64, '\x7f\x10\xda\xbe'],
  ['OVA', 257, 'ustar'],
]

/** `raw` is everything that has no mark. */
export function diskFormatOf(head: Uint8Array): 'raw' | 'qcow2' {
  return has(head, 0, QCOW2) ? 'qcow2' : 'raw'
}

/** The name of a format that no host here runs. */
export function foreignFormatOf(head: Uint8Array): string | null {
  return FOREIGN.find(([, at, mark]) => has(head, at, mark))?.[0] ?? null
}

function has(head: Uint8Array, at: number, mark: string): boolean {
  return Buffer.from(head.subarray(at, at + mark.length)).toString('latin1') === mark
}
