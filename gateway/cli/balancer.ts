// `mallee balancer …`: load balancers of all accounts, and where their nodes are.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { LoadBalancerShown } from '../local/load-balancers.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

const HEADS = ['ACCOUNT', 'NAME', 'STATE', 'RACK', 'HOST', 'SERVES', 'HEALTHY', 'INTERFACE', 'NOTE']

const listCommand = buildCommand<LocalFlags>({
  docs: {
    brief: 'Load balancers, where their nodes are, and how those are',
    fullDescription: [
      'Load balancers, where their nodes are, and how those are. A line is a node: whether its host',
      'says that it serves, and how many of its targets it finds healthy.',
      '',
      'Example:',
      '  mallee balancer list --json',
    ].join('\n'),
  },
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/load-balancers' } as const
      const answer = await callLocal<{ loadBalancers: readonly LoadBalancerShown[] }>(socket, call)
      const rows = answer.loadBalancers.flatMap(({ account, name, state, reason, nodes }) =>
        nodes.map((one) => [
          ...[account, name, state, one.rack, one.host === '' ? '-' : one.host],
          one.serving ? 'yes' : 'no',
          `${one.healthy}/${one.targets}`,
          one.interface,
          one.trouble === '' ? reason : one.trouble,
        ]),
      )
      print(json, answer, table(HEADS, rows))
    }),
})

export const balancerRoutes = buildRouteMap({
  routes: { list: listCommand },
  docs: { brief: 'Load balancers and where their nodes are' },
})
