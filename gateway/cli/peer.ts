// `mallee peer …`: clouds of other owners that this one is connected with.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { PeerShown } from '../local/peer-schemas.ts'
import { callLocal } from './client.ts'
import { confirm } from './confirm.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { peerName } from './names.ts'
import { auditCommand } from './peer-audit.ts'
import {
  acceptCommand,
  invitationsCommand,
  inviteCommand,
  limitsText,
  revokeCommand,
} from './peer-invite.ts'
import { type TermsFlags, termsFlags, termsOf } from './peer-terms.ts'
import { showCommand } from './show.ts'

const flags = { socket: socketFlag, json: jsonFlag } as const
const ONE = { kind: 'tuple', parameters: [peerName] } as const

const listCommand = buildCommand<LocalFlags>({
  docs: helped('Peer clouds, and what stands in the way', 'mallee peer list'),
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/peers' } as const
      const answer = await callLocal<{ peers: readonly PeerShown[] }>(socket, call)
      const rows = answer.peers.map((one) => [
        ...[one.name, one.cloud, one.region, one.state, new Date(one.heardAtMs).toISOString()],
        one.trouble ?? '',
      ])
      print(json, answer, table(['PEER', 'CLOUD', 'REGION', 'STATE', 'HEARD', 'NOTE'], rows))
    }),
})

const setCommand = buildCommand<LocalFlags & TermsFlags, [string]>({
  docs: {
    brief: 'Change what a peer cloud may do here',
    fullDescription: [
      'Change what a peer cloud may do here. What is not said stays as it is.',
      '',
      'Examples:',
      '  mallee peer set partner --bandwidth 500 --max-connections 10',
      '  mallee peer set partner --accounts all --expires never',
    ].join('\n'),
  },
  parameters: { flags: { ...termsFlags, ...flags }, positional: ONE },
  func: ({ socket, json, ...terms }, name) =>
    answering(json, async () => {
      const call = { method: 'PUT', path: pathOf(name), body: termsOf(terms) } as const
      const peer = await callLocal<PeerShown>(socket, call)
      print(json, peer, `${name}: may have ${limitsText(peer.given)}`)
    }),
})

const suspendCommand = buildCommand<LocalFlags, [string]>({
  docs: helped(
    'Stop all traffic with a peer cloud at once, whether or not it answers',
    'mallee peer suspend partner',
  ),
  parameters: { flags, positional: ONE },
  func: (given, name) => answering(given.json, () => post(given, name, 'suspend')),
})

const resumeCommand = buildCommand<LocalFlags, [string]>({
  docs: helped('Let traffic with a peer cloud pass again', 'mallee peer resume partner'),
  parameters: { flags, positional: ONE },
  func: (given, name) => answering(given.json, () => post(given, name, 'resume')),
})

const removeCommand = buildCommand<LocalFlags & { readonly yes: boolean }, [string]>({
  docs: {
    brief: 'End the agreement with a peer cloud',
    fullDescription: [
      'End the agreement with a peer cloud: traffic stops at once, its peerings are deleted, and nothing',
      'of it remains here, also not the log (mallee peer audit NAME --json). The other cloud is told if it',
      'answers within a few seconds.',
      '',
      'Example:',
      '  mallee peer remove partner --yes',
    ].join('\n'),
  },
  parameters: {
    flags: { yes: { kind: 'boolean', brief: 'Do not ask', default: false }, ...flags },
    positional: ONE,
  },
  func: (given, name) =>
    answering(given.json, async () => {
      await confirm(given, `all that is agreed with ${name} ends`)
      const call = { method: 'DELETE', path: pathOf(name) } as const
      const answer = await callLocal<{ readonly isTold: boolean }>(given.socket, call)
      const told = answer.isTold ? 'the other cloud knows' : 'the other cloud did not answer'
      print(given.json, answer, `${name}: removed; ${told}`)
    }),
})

export const peerRoutes = buildRouteMap({
  routes: {
    invite: inviteCommand,
    accept: acceptCommand,
    invitations: invitationsCommand,
    revoke: revokeCommand,
    list: listCommand,
    show: showCommand(
      'A peer cloud, on which terms, and what stands in the way',
      'mallee peer show partner',
      peerName,
      '/v1/peers',
    ),
    set: setCommand,
    suspend: suspendCommand,
    resume: resumeCommand,
    remove: removeCommand,
    audit: auditCommand,
  },
  docs: { brief: 'Clouds of other owners that this one is connected with' },
})

async function post(
  { socket, json }: LocalFlags,
  name: string,
  what: 'suspend' | 'resume',
): Promise<void> {
  const call = { method: 'POST', path: `${pathOf(name)}/${what}` } as const
  const peer = await callLocal<PeerShown>(socket, call)
  print(json, peer, `${name}: ${peer.state}`)
}

function pathOf(name: string): string {
  return `/v1/peers/${encodeURIComponent(name)}`
}
