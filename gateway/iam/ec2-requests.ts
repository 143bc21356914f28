// What a call to EC2 asks policies for: each pair of an action and a resource, with what conditions
// may ask about it. All of them must be allowed.

import type { DeregisterImageRequest } from '@aws-sdk/client-ec2'
import { snapshotsOf } from '../ebs/image-states.ts'
import { kindOfId } from '../ec2/ids.ts'
import { asKeys, ec2Arn, type Keys, keysOf, requestTagKeys } from './ec2-keys.ts'
import { madeKeys } from './ec2-made.ts'
import { idsIn, textsAt } from './ec2-members.ts'
import { byPrefix, type Named, namedIn, type Place } from './ec2-named.ts'
import { type ResourceUse, resourceUses } from './ec2-resource-types.ts'
import { fleetRuns, runUses } from './ec2-run-instances.ts'
import { type ProfileName, profileAsks } from './pass-role.ts'

/** One question to policies. */
export interface Ask {
  readonly action: string
  /** An ARN or `*`. */
  readonly resource: string
  /** About this resource; what is true of the whole call comes on top. */
  readonly keys: Keys
}

/** A resource of a call before its keys are looked up; `id` is `*` for one that is made. */
export interface Use {
  readonly type: string
  readonly id: string
  /** What the request says of it. */
  readonly keys?: () => Keys
}

type Tags = ReadonlyMap<string, string>

/** `input` as the SDK types it, decoded. */
export function ec2Asks(place: Place, action: string, input: object): Ask[] {
  if (action === 'RunInstances') return runAsks(place, input)
  const own = asksFor(place, action, input, usesOf(place, action, input))
  if (action === 'DeregisterImage') return [...own, ...associatedAsks(place, input)]
  return action === 'CreateFleet'
    ? [...own, ...fleetRuns(input).flatMap((run) => runAsks(place, run))]
    : own
}

/** The snapshots of an image go with it when the request says so: each must be allowed to. */
function associatedAsks(place: Place, input: object): Ask[] {
  const { ImageId: id = '', DeleteAssociatedSnapshots: goes } = input as DeregisterImageRequest
  const image = goes === true ? place.view.get('image', id) : null
  return (image === null ? [] : snapshotsOf(image)).map((snapshot) =>
    lazyAsk('ec2:DeleteSnapshot', ec2Arn(place, 'snapshot', snapshot), () =>
      keysOf(place, 'snapshot', snapshot),
    ),
  )
}

/** Of RunInstances: what its template says counts as if the request said it, tags and role too. */
export function runAsks(place: Place, asked: object): Ask[] {
  const { input, uses } = runUses(place, asked)
  return asksFor(place, 'RunInstances', input, uses)
}

function asksFor(place: Place, action: string, input: object, uses: readonly Use[]): Ask[] {
  const tagged = taggedTypes(input)
  const about = attributeKeys(action, input)
  const own = uses.map((use) => {
    const resource = ec2Arn(place, use.type, use.id)
    return lazyAsk(`ec2:${action}`, resource, () => joined(keysOfUse(place, use, tagged), about))
  })
  const asks = own.length > 0 ? own : [{ action: `ec2:${action}`, resource: '*', keys: about }]
  return [...asks, ...tagAsks(place, action, tagged), ...roleAsks(place, input)]
}

/** A role that the request gives to an instance. */
function roleAsks({ view, account }: Place, input: object): Ask[] {
  const { IamInstanceProfile: profile } = input as { IamInstanceProfile?: ProfileName }
  return profile === undefined ? [] : profileAsks(view, account, profile)
}

/** Permission to tag is asked for each type that the request tags at its making. */
function tagAsks(place: Place, action: string, tagged: ReadonlyMap<string, Tags>): Ask[] {
  return [...tagged].map(([type, tags]) => ({
    action: 'ec2:CreateTags',
    resource: ec2Arn(place, type, '*'),
    keys: joined(requestTagKeys(tags), asKeys({ 'ec2:CreateAction': action })),
  }))
}

function usesOf(place: Place, action: string, input: object): readonly Use[] {
  const uses = resourceUses(action)
  if (uses === 'own') return taggedUses(place, input)
  if (uses === null) return []
  const named = namedIn(place, action, input)
  const made = () => madeKeys(place, input)
  return uses.flatMap((use) => usesOfType(use, input, named, made))
}

function usesOfType(
  { type, required }: ResourceUse,
  input: object,
  named: Named,
  made: () => Keys,
): Use[] {
  const ids = new Set([...idsIn(input, type), ...(named[type] ?? [])])
  if (ids.size === 0 && required) return [{ type, id: '*', keys: made }]
  return [...ids].map((id) => ({ type, id }))
}

/** CreateTags and DeleteTags: by the ids alone; of DeleteTags the tags are those to delete. */
function taggedUses(place: Place, input: object): Use[] {
  const keys = () => requestTagKeys(tagsIn(input))
  const named = byPrefix(
    place,
    textsAt(input, 'Resources').filter((id) => kindOfId(id) !== null),
  )
  return Object.entries(named).flatMap(([type, ids]) => ids.map((id) => ({ type, id, keys })))
}

/** Its keys are looked up when they are first asked for: most conditions are about the call. */
function lazyAsk(action: string, resource: string, look: () => Keys): Ask {
  let known: Keys | null = null
  return {
    action,
    resource,
    get keys() {
      known ??= look()
      return known
    },
  }
}

function keysOfUse(place: Place, { type, id, keys }: Use, tagged: ReadonlyMap<string, Tags>): Keys {
  const there = id === '*' ? new Map() : keysOf(place, type, id)
  const tags = requestTagKeys(tagged.get(type) ?? new Map())
  return joined(there, tags, keys?.() ?? new Map())
}

/** Type → tags of TagSpecifications; types that the request gives no tags are left out. */
function taggedTypes(input: object): Map<string, Tags> {
  const { TagSpecifications: list = [] } = input as { TagSpecifications?: readonly object[] }
  const found = new Map<string, Tags>()
  for (const one of list) {
    const [type] = textsAt(one, 'ResourceType')
    const tags = tagsIn(one)
    if (type !== undefined && tags.size > 0) found.set(type, tags)
  }
  return found
}

function tagsIn(input: object): Map<string, string> {
  const { Tags: list = [] } = input as { Tags?: readonly { Key?: string; Value?: string }[] }
  return new Map(list.map(({ Key = '', Value = '' }) => [Key, Value]))
}

function attributeKeys(action: string, input: object): Keys {
  const attributes = /^(?:Modify|Reset)\w*Attribute$/.test(action)
    ? [...textsAt(input, 'Attribute'), ...Object.keys(input).filter(isAttribute)]
    : []
  return attributes.length === 0 ? new Map() : new Map([['ec2:attribute', attributes]])
}

function isAttribute(member: string): boolean {
  return !/(?:Id|Ids)$|^(?:DryRun|Attribute)$/.test(member)
}

function joined(...maps: readonly Keys[]): Keys {
  return new Map(maps.flatMap((map) => [...map]))
}
