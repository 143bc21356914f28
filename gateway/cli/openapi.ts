// `mallee openapi`: what programs need to know to do what this command does.

import { buildCommand } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

export const openApiCommand = buildCommand<LocalFlags>({
  docs: {
    brief: "The local API's OpenAPI document",
    fullDescription: [
      "The local API's OpenAPI document: all that this command does, for programs.",
      '',
      'Examples:',
      '  mallee openapi > mallee.json',
      '  curl --unix-socket /run/mallee/gateway.sock http://localhost/v1/status',
    ].join('\n'),
  },
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/openapi.json' } as const
      const answer = await callLocal<object>(socket, call)
      print(json, answer, JSON.stringify(answer, null, 2))
    }),
})
