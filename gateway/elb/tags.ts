// AddTags, RemoveTags, DescribeTags. Tags are a part of the record that they are on.

import type { LoadBalancingHandlers } from '../aws/handlers.ts'
import type { Records } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { found, kindOfArn, listenerOfRule, oneInStore } from './arns.ts'
import { invalid, type Kind, notFound } from './errors.ts'
import { mergeTags, parseTags, shownTags, type Tags } from './input.ts'
import type { BalancingParts } from './parts.ts'

type Handlers = Required<Pick<LoadBalancingHandlers, 'AddTags' | 'RemoveTags' | 'DescribeTags'>>

/** The API reference: up to 20 resources in one request. */
const MAX_RESOURCES = 20

export function tagHandlers({ state, region }: BalancingParts): Handlers {
  async function change(
    account: string,
    arns: readonly string[] | undefined,
    next: (tags: Tags) => Tags,
  ): Promise<void> {
    const all = checkArns(arns)
    await state.update(async (tx) => {
      for (const arn of all) {
        const kind = kindOf(arn)
        const record = await oneInStore(tx, region, account, kind, arn)
        await putTags(tx, kind, record, next(record.tags))
      }
    })
  }

  return {
    AddTags: async ({ caller }, { ResourceArns, Tags }) => {
      const more = parseTags(Tags)
      await change(caller.account, ResourceArns, (tags) => mergeTags(tags, more))
      return {}
    },

    RemoveTags: async ({ caller }, { ResourceArns, TagKeys = [] }) => {
      const gone = new Set(TagKeys)
      await change(caller.account, ResourceArns, (tags) =>
        Object.fromEntries(Object.entries(tags).filter(([key]) => !gone.has(key))),
      )
      return {}
    },

    DescribeTags: async ({ caller }, { ResourceArns }) => {
      const view = await state.fresh()
      const shown = checkArns(ResourceArns).map((arn) => {
        // Default rules have no tags of their own.
        const rule = arn.includes(':listener-rule/') ? listenerOfRule(arn) : null
        const kind = kindOf(rule ?? arn)
        const record = found(view, region, caller.account, kind, rule ?? arn)
        if (record === null) throw notFound(kind, [arn])
        return { ResourceArn: arn, Tags: rule === null ? shownTags(record.tags) : [] }
      })
      return { TagDescriptions: shown }
    },
  }
}

function checkArns(arns: readonly string[] | undefined): string[] {
  const unique = [...new Set(arns ?? [])]
  if (unique.length === 0) throw invalid('At least one resource ARN must be specified')
  if (unique.length <= MAX_RESOURCES) return unique
  throw invalid(`The request names ${unique.length} ARNs; at most ${MAX_RESOURCES} are allowed`)
}

function kindOf(arn: string): Kind {
  const kind = kindOfArn(arn)
  if (kind !== null) return kind
  throw invalid(
    `'${arn.slice(0, 300)}' is not the ARN of a load balancer, target group or listener`,
  )
}

async function putTags<K extends Kind>(
  tx: Transaction,
  kind: K,
  record: Records[K],
  tags: Tags,
): Promise<void> {
  await tx.put(kind, [record.id], { ...record, tags })
}
