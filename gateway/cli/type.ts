// `mallee type …`: the instance types that users can start.

import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { InstanceTypeShown } from '../local/types.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { typeName } from './names.ts'
import { showCommand } from './show.ts'

interface Flags extends LocalFlags {
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  readonly interfaces: number
  readonly addresses: number
}

const NAME = { kind: 'tuple', parameters: [typeName] } as const

const createTypeCommand = buildCommand<Flags, [string]>({
  docs: {
    brief: 'Make an instance type',
    fullDescription: [
      'Make an instance type. A name that the cloud has by itself can be given other sizes after',
      "it was deleted. The disk is the instance's root, on its host.",
      '',
      'Examples:',
      '  mallee type create lab.small --vcpus 1 --memory-mib 1024 --disk-gib 10',
      '  mallee type create lab.wide --vcpus 8 --memory-mib 4096 --disk-gib 40 --interfaces 8',
    ].join('\n'),
  },
  parameters: {
    flags: {
      vcpus: { kind: 'parsed', parse: numberParser, brief: 'Processors', placeholder: 'count' },
      memoryMib: { kind: 'parsed', parse: numberParser, brief: 'Memory', placeholder: 'mib' },
      diskGib: { kind: 'parsed', parse: numberParser, brief: 'Root disk', placeholder: 'gib' },
      interfaces: {
        kind: 'parsed',
        parse: numberParser,
        brief: 'Network interfaces that an instance can have',
        placeholder: 'count',
        default: '2',
      },
      addresses: {
        kind: 'parsed',
        parse: numberParser,
        brief: 'Addresses of each family that an interface can have',
        placeholder: 'count',
        default: '4',
      },
      socket: socketFlag,
      json: jsonFlag,
    },
    positional: NAME,
  },
  func: ({ socket, json, ...sizes }, name) =>
    answering(json, async () => {
      const call = { method: 'POST', path: '/v1/types', body: { name, ...sizes } } as const
      print(json, await callLocal(socket, call), `${name}: made`)
    }),
})

const listTypesCommand = buildCommand<LocalFlags>({
  docs: helped('Instance types and how many instances have them', 'mallee type list'),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: (flags) => answering(flags.json, () => listTypes(flags)),
})

const deleteTypeCommand = buildCommand<LocalFlags, [string]>({
  docs: {
    brief: 'Take away an instance type that no instance has',
    fullDescription: [
      'Take away an instance type that no instance has, also one that the cloud has by itself.',
      '',
      'Example:',
      '  mallee type delete m5.24xlarge',
    ].join('\n'),
  },
  parameters: { flags: { socket: socketFlag, json: jsonFlag }, positional: NAME },
  func: ({ socket, json }, name) =>
    answering(json, async () => {
      const path = `/v1/types/${encodeURIComponent(name)}`
      print(json, await callLocal(socket, { method: 'DELETE', path }), `${name}: deleted`)
    }),
})

export const typeRoutes = buildRouteMap({
  routes: {
    create: createTypeCommand,
    list: listTypesCommand,
    show: showCommand(
      'An instance type and how many instances have it',
      'mallee type show t3.nano',
      typeName,
      '/v1/types',
    ),
    delete: deleteTypeCommand,
  },
  docs: { brief: 'Instance types' },
})

async function listTypes({ socket, json }: LocalFlags): Promise<void> {
  const call = { method: 'GET', path: '/v1/types' } as const
  const { types } = await callLocal<{ types: readonly InstanceTypeShown[] }>(socket, call)
  const rows = types.map((type) => [
    type.name,
    String(type.vcpus),
    String(type.memoryMib),
    String(type.diskGib),
    String(type.interfaces),
    String(type.addresses),
    String(type.instances),
    type.isDefault ? 'yes' : 'no',
  ])
  const head = ['TYPE', 'VCPUS', 'MIB', 'GIB', 'INTERFACES', 'ADDRESSES', 'INSTANCES', 'DEFAULT']
  print(json, { types }, table(head, rows))
}
