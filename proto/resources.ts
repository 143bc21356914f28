// Resources by kind: the keys they go under and typed access to their bodies.

import { create } from '@bufbuild/protobuf'
import { type Resource, ResourceSchema } from './gen/mallee/v1/desired_pb.js'

export type Body = Exclude<Resource['body'], { case: undefined }>
export type ResourceKind = Body['case']
export type BodyOf<K extends ResourceKind> = Extract<Body, { case: K }>['value']

/** A host's or a rack's whole desired state, by key. */
export type Desired = ReadonlyMap<string, Resource>

export function resource(key: string, body: Body): Resource {
  return create(ResourceSchema, { key, body })
}

/** The bodies of one kind, in key order. */
export function bodies<K extends ResourceKind>(desired: Desired, kind: K): BodyOf<K>[] {
  const found: [string, BodyOf<K>][] = []
  for (const [key, { body }] of desired) {
    if (body.case === kind) found.push([key, body.value as unknown as BodyOf<K>])
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
}

/** The one body under a key, or null when there is none of that kind. */
export function bodyAt<K extends ResourceKind>(
  desired: Desired,
  key: string,
  kind: K,
): BodyOf<K> | null {
  const body = desired.get(key)?.body
  if (body === undefined || body.case !== kind) return null
  return body.value as unknown as BodyOf<K> | null
}
