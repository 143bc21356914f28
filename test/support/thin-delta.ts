// What thin_delta(8) says of two thin volumes, given where each of their chunks is.

/** As thin_delta writes it: ranges of one kind, as long as they are. */
export function deltaText(
  left: ReadonlyMap<number, number>,
  right: ReadonlyMap<number, number>,
): string {
  const chunks = [...new Set([...left.keys(), ...right.keys()])].sort((a, b) => a - b)
  const ranges: { kind: string; begin: number; length: number }[] = []
  for (const chunk of chunks) {
    const [a, b] = [left.get(chunk), right.get(chunk)]
    const kind =
      a === undefined
        ? 'right_only'
        : b === undefined
          ? 'left_only'
          : a === b
            ? 'same'
            : 'different'
    const before = ranges.at(-1)
    if (before?.kind === kind && before.begin + before.length === chunk) before.length += 1
    else ranges.push({ kind, begin: chunk, length: 1 })
  }
  const lines = ranges.map(
    ({ kind, begin, length }) => `    <${kind} begin="${begin}" length="${length}"/>`,
  )
  const head =
    '<superblock uuid="" time="2" transaction="4" data_block_size="128" nr_data_blocks="0">'
  return [head, '  <diff left="1" right="2">', ...lines, '  </diff>', '</superblock>', ''].join(
    '\n',
  )
}
