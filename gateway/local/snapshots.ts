// Where snapshots' bytes are, for operators: how far the scrubber is, and what was found damaged.

import type { FastifyInstance } from 'fastify'
import type { SnapshotReport } from '../ebs/chunks/open.ts'
import { route } from './route.ts'
import { integer, list, named, nullable, object, oneOf, type Typed, text, time } from './schema.ts'

interface SnapshotParts {
  readonly snapshotReport: () => Promise<SnapshotReport>
}

const REPORT = named(
  'SnapshotStorage',
  object({
    scrub: nullable(
      object({
        startedAtMs: time('When it began'),
        endedAtMs: nullable(time('When it ended'), 'Null: under way'),
        items: integer({ minimum: 0, description: 'Blocks and pages that were looked at' }),
        bytes: integer({ minimum: 0, description: 'Of them' }),
        skipped: integer({ minimum: 0, description: 'Of them, those whose store was away' }),
      }),
      'The last round of the scrubber; null before the first',
    ),
    damage: list(
      object({
        kind: oneOf('block', 'leaf', 'branch', 'root'),
        sha256: text({ description: 'Its name' }),
        what: text({ description: 'What is wrong' }),
        foundAtMs: time('When it was found'),
        snapshots: list(
          object({
            id: text({ description: 'A snapshot that has it' }),
            block: integer({ minimum: 0, description: 'The first block of it that is lost' }),
          }),
          { description: 'When it was found; 100 at most' },
        ),
      }),
      { description: 'Not put anew nor deleted since; 1,000 at most' },
    ),
  }),
)
export type SnapshotStorageShown = Typed<typeof REPORT>

export function addSnapshotRoutes(app: FastifyInstance, { snapshotReport }: SnapshotParts): void {
  route(
    app,
    {
      id: 'getSnapshotStorage',
      summary: "The scrubber of snapshots' bytes and what it found",
      method: 'GET',
      path: '/v1/snapshot-storage',
      answer: REPORT,
      example: {
        scrub: {
          ...{ startedAtMs: 1_785_000_000_000, endedAtMs: null },
          ...{ items: 20_480, bytes: 10_737_418_240, skipped: 0 },
        },
        damage: [
          {
            ...{ kind: 'block', sha256: 'ab'.repeat(32), foundAtMs: 1_785_000_000_000 },
            what: 'blob 0123456789abcdef0123456789abcdef is damaged in block 1 (from byte 65536)',
            snapshots: [{ id: 'snap-0123456789abcdef0', block: 512 }],
          },
        ],
      },
    },
    async () => {
      const { scrub, damage } = await snapshotReport()
      return { scrub: scrub && roundOf(scrub), damage: [...damage] }
    },
  )
}

function roundOf({
  startedAtMs,
  endedAtMs,
  items,
  bytes,
  skipped,
}: NonNullable<SnapshotStorageShown['scrub']>) {
  return { startedAtMs, endedAtMs, items, bytes, skipped }
}
