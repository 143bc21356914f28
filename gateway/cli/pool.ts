// `mallee pool …`: public addresses that the cloud may give to instances.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { PublicPool } from '../local/pools.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { poolName, rackName } from './names.ts'
import { showCommand } from './show.ts'

interface ListFlags extends LocalFlags {
  readonly racks?: readonly string[]
  readonly exclude?: readonly string[]
}

interface Flags extends ListFlags {
  readonly cidr: string
}

const lists = {
  racks: {
    kind: 'parsed',
    parse: String,
    proposeCompletions: rackName.proposeCompletions,
    brief: 'Racks whose CCs can announce it; all without',
    placeholder: 'racks',
    variadic: ',',
    optional: true,
  },
  exclude: {
    kind: 'parsed',
    parse: String,
    brief: "Addresses that nobody gets, for example the router's and the CCs' own",
    placeholder: 'addresses',
    variadic: ',',
    optional: true,
  },
} as const

const createPoolCommand = buildCommand<Flags>({
  docs: {
    brief: 'Give the cloud a block of public IPv4 addresses',
    fullDescription: [
      'Give the cloud a block of public IPv4 addresses, for elastic IPs and launches. The upstream',
      'router must have the block on the link where the CCs of the racks have their public side.',
      '',
      'Examples:',
      '  mallee pool create --cidr 203.0.113.0/24 --exclude 203.0.113.1',
      '  mallee pool create --cidr 198.51.100.0/28 --racks a,b',
    ].join('\n'),
  },
  parameters: {
    flags: {
      cidr: { kind: 'parsed', parse: String, brief: 'IPv4 prefix, /8 to /32', placeholder: 'cidr' },
      ...lists,
      socket: socketFlag,
      json: jsonFlag,
    },
  },
  func: (flags) => answering(flags.json, () => createPool(flags)),
})

const listPoolsCommand = buildCommand<LocalFlags>({
  docs: helped('Public pools and how much of them is out', 'mallee pool list'),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: (flags) => answering(flags.json, () => listPools(flags)),
})

const setPoolCommand = buildCommand<ListFlags, [string]>({
  docs: {
    brief: 'Change which racks announce a pool, and what nobody gets of it',
    fullDescription: [
      'Change which racks announce a pool, and what nobody gets of it. Each list replaces the one',
      'that was; what is not given stays. `--racks all` is every rack, `--exclude none` nothing.',
      '',
      'Examples:',
      '  mallee pool set ipv4pool-ec2-0123456789abcdef0 --racks a,b',
      '  mallee pool set ipv4pool-ec2-0123456789abcdef0 --racks all --exclude 203.0.113.1',
    ].join('\n'),
  },
  parameters: {
    flags: { ...lists, socket: socketFlag, json: jsonFlag },
    positional: { kind: 'tuple', parameters: [poolName] },
  },
  func: ({ racks, exclude, socket, json }, id) =>
    answering(json, async () => {
      const body = { racks: listOf(racks, 'all'), exclude: listOf(exclude, 'none') }
      const path = `/v1/pools/${encodeURIComponent(id)}`
      const pool = await callLocal<PublicPool>(socket, { method: 'PUT', path, body })
      const where = pool.racks.join(', ') || 'all racks'
      print(
        json,
        pool,
        `${id}: announced by ${where}, without ${pool.excluded.join(', ') || 'none'}`,
      )
    }),
})

/** The word for a list that has nothing in it stands for that. */
function listOf(given: readonly string[] | undefined, word: string): readonly string[] | undefined {
  return given?.length === 1 && given[0] === word ? [] : given
}

const deletePoolCommand = buildCommand<LocalFlags, [string]>({
  docs: helped(
    'Take a pool back of which no address is out',
    'mallee pool delete ipv4pool-ec2-0123456789abcdef0',
  ),
  parameters: {
    flags: { socket: socketFlag, json: jsonFlag },
    positional: {
      kind: 'tuple',
      parameters: [poolName],
    },
  },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      const path = `/v1/pools/${encodeURIComponent(id)}`
      print(json, await callLocal(socket, { method: 'DELETE', path }), `${id}: deleted`)
    }),
})

export const poolRoutes = buildRouteMap({
  routes: {
    create: createPoolCommand,
    list: listPoolsCommand,
    show: showCommand(
      'A public pool, and how many addresses of it are out',
      'mallee pool show ipv4pool-ec2-0123456789abcdef0',
      poolName,
      '/v1/pools',
    ),
    set: setPoolCommand,
    delete: deletePoolCommand,
  },
  docs: { brief: 'Pools of public addresses' },
})

async function createPool({ cidr, racks, exclude, socket, json }: Flags): Promise<void> {
  const body = { cidr, racks: racks ?? [], exclude: exclude ?? [] }
  const call = { method: 'POST', path: '/v1/pools', body } as const
  const pool = await callLocal<PublicPool>(socket, call)
  print(json, pool, `${pool.id}: ${pool.cidr}`)
}

async function listPools({ socket, json }: LocalFlags): Promise<void> {
  const call = { method: 'GET', path: '/v1/pools' } as const
  const { pools } = await callLocal<{ pools: readonly PublicPool[] }>(socket, call)
  const rows = pools.map((pool) => [
    pool.id,
    pool.cidr,
    pool.racks.join(',') || 'all',
    String(pool.out),
    String(pool.available),
    pool.excluded.join(','),
  ])
  print(json, { pools }, table(['POOL', 'CIDR', 'RACKS', 'OUT', 'AVAILABLE', 'EXCLUDED'], rows))
}
