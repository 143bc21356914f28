// Instance types for operators.

import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type InstanceTypeSpec, instanceTypes, isDefaultType } from '../ec2/instance-types.ts'
import {
  createInstanceType,
  deleteInstanceType,
  instancesOfType,
  TYPE_RANGES,
} from '../instance-types.ts'
import type { State, View } from '../store/state.ts'
import { route } from './route.ts'
import { flag, integer, list, named, object, type Schema, type Typed, text } from './schema.ts'

interface TypeParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
}

function size(of: keyof typeof TYPE_RANGES, description: string): Schema<number> {
  const [minimum, maximum] = TYPE_RANGES[of]
  return integer({ minimum, maximum, description })
}

const SIZES = {
  name: text({ minLength: 1, maxLength: 63, description: 'Family, dot, size: t3.nano' }),
  vcpus: size('vcpus', 'Processors'),
  memoryMib: size('memoryMib', 'Memory'),
  diskGib: size('diskGib', 'Root disk, on the host'),
  interfaces: size('interfaces', 'Network interfaces that an instance can have'),
  addresses: size('addresses', 'Addresses of each family that an interface can have'),
}
const NEW_TYPE = object(SIZES)
const TYPE = named(
  'InstanceType',
  object({
    ...SIZES,
    isDefault: flag('The cloud has it by itself'),
    instances: integer({ minimum: 0, description: 'Those that are not terminated' }),
  }),
)
export type InstanceTypeShown = Typed<typeof TYPE>

const NEW_EXAMPLE = {
  ...{ name: 'lab.small', vcpus: 1, memoryMib: 1_024, diskGib: 10, interfaces: 2, addresses: 4 },
}
const EXAMPLE: InstanceTypeShown = { ...NEW_EXAMPLE, isDefault: false, instances: 0 }
const ONE = object({ name: SIZES.name })
const PATH = '/v1/types/{name}'

export function addTypeRoutes(app: FastifyInstance, parts: TypeParts): void {
  const { state, clock, randomHex } = parts
  route(
    app,
    {
      id: 'listTypes',
      summary: 'Instance types and how many instances have them',
      method: 'GET',
      path: '/v1/types',
      answer: object({ types: list(TYPE) }),
      example: { types: [EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { types: instanceTypes(view).map((type) => shown(view, type)) }
    },
  )

  route(
    app,
    {
      id: 'getType',
      summary: 'An instance type and how many instances have it',
      method: 'GET',
      path: PATH,
      params: ONE,
      answer: TYPE,
      example: EXAMPLE,
      refusals: ['NotFound'],
    },
    async ({ params: { name } }) => typeNamed(name),
  )

  route(
    app,
    {
      id: 'createType',
      summary: 'Make an instance type',
      method: 'POST',
      path: '/v1/types',
      body: NEW_TYPE,
      bodyExample: NEW_EXAMPLE,
      answer: TYPE,
      example: EXAMPLE,
      refusals: ['NameTaken', 'Conflict'],
    },
    async ({ body }) => {
      await createInstanceType({ state, nowMs: clock.nowMs() }, body)
      return await typeNamed(body.name)
    },
  )

  route(
    app,
    {
      id: 'deleteType',
      summary: 'Take away an instance type that no instance has',
      method: 'DELETE',
      path: PATH,
      params: ONE,
      answer: object({ deleted: text({}) }),
      example: { deleted: 'lab.small' },
      refusals: ['NotFound', 'Conflict'],
    },
    async ({ params: { name } }) => {
      await deleteInstanceType({ state, randomHex, nowMs: clock.nowMs() }, name)
      return { deleted: name }
    },
  )

  async function typeNamed(name: string): Promise<InstanceTypeShown> {
    const view = await state.fresh()
    const type = instanceTypes(view).find((one) => one.name === name)
    if (type === undefined) throw new MalleeError('NotFound', `there is no instance type ${name}`)
    return shown(view, type)
  }
}

function shown(view: View, type: InstanceTypeSpec): InstanceTypeShown {
  const { name, vcpus, memoryMib, diskGib, interfaces, addresses } = type
  const isDefault = isDefaultType(name) && view.get('instance-type', name) === null
  const instances = instancesOfType(view, name).length
  return { name, vcpus, memoryMib, diskGib, interfaces, addresses, isDefault, instances }
}
