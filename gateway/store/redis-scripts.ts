// What runs inside Redis: each script is one step that nobody sees half of. All keys of a store
// share a hash tag, so that a script may touch them on a cluster too.

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'

export interface Script {
  readonly lua: string
  readonly sha: string
}

export interface RedisKeys {
  readonly kv: string
  readonly ix: string
  readonly rev: string
  readonly log: string
  readonly hist: string
}

export function keysOf(namespace: string): RedisKeys {
  const of = (name: string): string => `{${namespace}}:${name}`
  return { kv: of('kv'), ix: of('ix'), rev: of('rev'), log: of('log'), hist: of('hist') }
}

/**
 * KEYS kv ix rev log hist; ARGV epoch, highest revision known, revisions to keep, number of
 * conditions, (key, version)…, (op, key, value)….
 * → {1, revision}, {0, key, version} of a broken condition, or {2}: this is another history.
 */
export const TXN = script(`
local kv, ix, rv, lg, hist = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local revision = tonumber(redis.call('GET', rv) or '0')
if redis.call('HGET', hist, 'epoch') ~= ARGV[1] or revision < tonumber(ARGV[2]) then
  return {2}
end
local function stamps(key)
  local held = redis.call('HGET', kv, key)
  if not held then return 0, 0 end
  local version, created = string.match(held, '^(%d+):(%d+):')
  return tonumber(version), tonumber(created)
end
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local version = stamps(ARGV[at])
  if version ~= tonumber(ARGV[at + 1]) then return {0, ARGV[at], version} end
  at = at + 2
end
local first = at
local entry = {}
for i = first, #ARGV, 3 do
  if ARGV[i] == 'p' or redis.call('HEXISTS', kv, ARGV[i + 1]) == 1 then
    entry[#entry + 1] = ARGV[i] .. ARGV[i + 1]
    entry[#entry + 1] = ARGV[i + 2]
  end
end
if #entry == 0 then return {1, revision} end
local nextRevision = revision + 1
-- First, as it is the one write that can be refused.
redis.call('XADD', lg, 'MAXLEN', '~', ARGV[3], nextRevision .. '-0', unpack(entry))
for i = first, #ARGV, 3 do
  local key = ARGV[i + 1]
  if ARGV[i] == 'p' then
    local version, created = stamps(key)
    if version == 0 then
      created = nextRevision
      redis.call('ZADD', ix, 0, key)
    end
    redis.call('HSET', kv, key, nextRevision .. ':' .. created .. ':' .. ARGV[i + 2])
  else
    redis.call('HDEL', kv, key)
    redis.call('ZREM', ix, key)
  end
end
redis.call('SET', rv, nextRevision)
return {1, nextRevision}
`)

/**
 * KEYS kv ix rev hist; ARGV first, last (as ZRANGEBYLEX), count → {epoch, revision, {key, held…}}
 */
export const LIST = script(`
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = {}
if #keys > 0 then
  local held = redis.call('HMGET', KEYS[1], unpack(keys))
  for i = 1, #keys do
    found[2 * i - 1] = keys[i]
    found[2 * i] = held[i]
  end
end
return {redis.call('HGET', KEYS[4], 'epoch'), redis.call('GET', KEYS[3]) or '0', found}
`)

/** KEYS rev hist → {epoch, revision} */
export const HEAD = script(`
return {redis.call('HGET', KEYS[2], 'epoch'), redis.call('GET', KEYS[1]) or '0'}
`)

/**
 * KEYS rev hist; ARGV the server's run id, an epoch to use if a new one is due, the epoch known
 * ('' when none is), the highest revision known. → {epoch, revision}
 * A new epoch is due for a new store, for another server process than the one that the epoch is
 * for (it may lack what that one had acknowledged), and when the revision went backwards.
 */
export const HISTORY = script(`
local held = redis.call('HMGET', KEYS[2], 'epoch', 'run')
local epoch, run = held[1], held[2]
local revision = redis.call('GET', KEYS[1]) or '0'
local backwards = epoch == ARGV[3] and tonumber(revision) < tonumber(ARGV[4])
if not epoch or run ~= ARGV[1] or backwards then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'run', ARGV[1])
end
return {epoch, revision}
`)

/** Runs a script by its digest; sends its text when the server does not know it yet. */
export async function runScript(
  redis: Redis,
  { lua, sha }: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args)
  } catch (error) {
    // NOSCRIPT comes before anything ran, so this is no second run.
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return await redis.eval(lua, keys.length, ...keys, ...args)
  }
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}
