// Volumes of all accounts for operators: where their bytes are, and who has them.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { shownState } from '../ebs/volume-shape.ts'
import type { State } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { route } from './route.ts'
import {
  accountParam,
  flag,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  rackParam,
  type Typed,
  text,
  time,
} from './schema.ts'

const MAX_VOLUMES = 1_000_000
const MAX_ID = 64

const ATTACHMENT = object({
  instance: text({}),
  host: text({ description: 'Whose instance has it, or had it last' }),
  device: text({}),
  state: oneOf('attaching', 'attached', 'detaching', 'released'),
  granted: flag('Its storage controller lets the host in'),
  trouble: text({ description: 'What that host says is in the way; empty when nothing' }),
})
const VOLUME = named(
  'Volume',
  object({
    id: text({}),
    account: accountParam,
    rack: rackParam,
    host: text({ description: 'Whose storage controller has its bytes; empty: they are lost' }),
    state: oneOf('creating', 'available', 'in-use', 'deleting', 'error'),
    reason: text({ description: 'What its host says is wrong; empty when nothing' }),
    type: oneOf('gp2', 'gp3', 'io1', 'io2', 'st1', 'sc1', 'standard'),
    sizeGib: integer({ minimum: 1 }),
    usedBytes: nullable(integer({ minimum: 0 }), 'What it takes there; null before it said so'),
    missingBytes: integer({ minimum: 0, description: 'Of its snapshot, still to come' }),
    encrypted: flag('Its bytes are'),
    multiAttach: flag('Several instances may have it at a time'),
    snapshot: text({ description: 'What it was made of; empty without' }),
    modification: nullable(
      oneOf('modifying', 'optimizing', 'completed', 'failed'),
      'Of its newest modification; null without',
    ),
    attachments: list(ATTACHMENT),
    createdAtMs: time('When it was asked for'),
  }),
)
export type VolumeShown = Typed<typeof VOLUME>

const EXAMPLE: VolumeShown = {
  ...{ id: 'vol-0123456789abcdef0', account: '111122223333', rack: 'a', host: 'a-sc' },
  ...{ state: 'in-use', reason: '', type: 'gp3', sizeGib: 8, usedBytes: 1_048_576 },
  ...{ missingBytes: 0, encrypted: false, multiAttach: false, snapshot: '', modification: null },
  attachments: [
    {
      ...{ instance: 'i-0123456789abcdef0', host: 'a-nc-1', device: '/dev/sdf' },
      ...{ state: 'attached', granted: true, trouble: '' },
    },
  ],
  createdAtMs: 1_785_000_000_000,
}

export function addVolumeRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  route(
    app,
    {
      id: 'listVolumes',
      summary: 'Volumes of all accounts, where their bytes are, and who has them',
      method: 'GET',
      path: '/v1/volumes',
      answer: object({ volumes: list(VOLUME, { maxItems: MAX_VOLUMES }) }),
      example: { volumes: [EXAMPLE] },
    },
    async () => ({ volumes: (await state.fresh()).all('volume').map(shown) }),
  )

  route(
    app,
    {
      id: 'getVolume',
      summary: 'A volume, where its bytes are, and who has it',
      method: 'GET',
      path: '/v1/volumes/{id}',
      params: object({ id: text({ minLength: 1, maxLength: MAX_ID }) }),
      answer: VOLUME,
      example: EXAMPLE,
      refusals: ['NotFound'],
    },
    async ({ params: { id } }) => {
      const volume = (await state.fresh()).all('volume').find((one) => one.id === id)
      if (volume === undefined) throw new MalleeError('NotFound', `there is no volume ${id}`)
      return shown(volume)
    },
  )
}

function shown(volume: VolumeRecord): VolumeShown {
  const { id, account, rack, host, type, sizeGib, encrypted, multiAttach, snapshot } = volume
  return {
    ...{ id, account, rack, host, state: shownState(volume), reason: volume.stateReason ?? '' },
    ...{ type, sizeGib, usedBytes: volume.usedBytes ?? null },
    ...{ missingBytes: volume.missingBytes ?? 0, encrypted, multiAttach, snapshot },
    modification: volume.modification?.state ?? null,
    attachments: volume.attachments.map((one) => ({
      ...{ instance: one.instance, host: one.host, device: one.device, state: one.state },
      ...{ granted: one.granted, trouble: one.trouble ?? '' },
    })),
    createdAtMs: volume.createdAtMs,
  }
}
