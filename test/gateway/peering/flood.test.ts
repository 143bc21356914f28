// A peer cloud that floods the peering port of a real gateway, over many connections and with all
// that a message may have: next to nothing of it is read, and the cloud's own calls go on.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CreateVpcCommand, DeleteVpcCommand, DescribeVpcsCommand } from '@aws-sdk/client-ec2'
import type * as grpc from '@grpc/grpc-js'
import { systemClock } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import type { NewInvitation } from '../../../gateway/local/peer-invitations.ts'
import { PeeringService } from '../../../proto/gen/mallee/v1/peering_pb.js'
import { callUnary, dial, methodDefinition } from '../../../proto/service.ts'
import { clientCredentials } from '../../../proto/tls.ts'
import { until } from '../../../sandbox/until.ts'
import { lastFirst, startCloud } from '../../support/cloud.ts'
import { startPeerCloud } from './clouds.ts'

const LINES = 6
/** What the server lets one connection have at a time. */
const STREAMS = 8
const BYTES = 64 << 10
const CALLS = 15
/** Of the port: at once, and more each second. */
const RATE = { burst: 60, perSecond: 5 }

const end = lastFirst({ after })
const east = await startCloud(end, { child: true })
const west = await startPeerCloud(end, 'west')

/** Of east's users, one after the other; how long each took. */
async function ownCalls(): Promise<number[]> {
  const ec2 = east.ec2()
  const times: number[] = []
  for (let i = 0; i < CALLS; i++) {
    const atMs = systemClock.nowMs()
    const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.9.0.0/16' }))
    const VpcId = Vpc?.VpcId ?? ''
    const { Vpcs } = await ec2.send(new DescribeVpcsCommand({ VpcIds: [VpcId] }))
    assert.equal(Vpcs?.length, 1)
    await ec2.send(new DeleteVpcCommand({ VpcId }))
    times.push(systemClock.nowMs() - atMs)
  }
  return times.sort((a, b) => a - b)
}

/** Until it is told to end; with what each call was answered. */
async function flood(client: grpc.Client, isOver: () => boolean): Promise<(string | null)[]> {
  const { path, responseDeserialize } = methodDefinition(PeeringService.method.deliver)
  const requestSerialize = (raw: Uint8Array): Buffer => Buffer.from(raw)
  const method = { path, responseDeserialize, requestSerialize }
  const bytes = Buffer.alloc(BYTES, 0xff)
  const codes: (string | null)[] = []
  while (!isOver()) {
    const deadline = systemClock.nowMs() + 20_000
    codes.push(
      await callUnary(client, method as never, bytes, deadline).then(
        () => null,
        (error: unknown) => codeOf(error),
      ),
    )
  }
  return codes
}

/** As the gateway counts it: who floods sees some of its streams cut without a word. */
async function refused(code: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${east.config.adminPort}/metrics`)
  const line = new RegExp(`^mallee_peer_refused_total\\{code="${code}"\\} (\\d+)$`, 'm')
  return Number(line.exec(await answer.text())?.[1] ?? 0)
}

test('a flood at the peering port is refused unread, and a cloud s own calls go on', async (t) => {
  const body = { name: 'west', minutes: 5 }
  const path = '/v1/peer-invitations'
  const { invitation } = await east.local<NewInvitation>({ method: 'POST', path, body })
  await west.accept(invitation)
  const trusted = { ...west.identity, caPem: west.peer().ca.certificates[0] ?? '' }
  await until('west has told', () => west.peer().stated.sequence > 0)
  await west.stop()
  const alone = await ownCalls()
  const lines = Array.from({ length: LINES }, () =>
    dial(
      '127.0.0.1',
      east.config.peeringPort,
      clientCredentials(trusted, () => true),
    ),
  )
  const startedMs = systemClock.nowMs()
  let isOver = false
  const flooding = Promise.all(
    lines.flatMap((one) => Array.from({ length: STREAMS }, () => flood(one, () => isOver))),
  )
  const beside = await ownCalls().finally(() => {
    isOver = true
  })
  const codes = (await flooding).flat()
  const seconds = (systemClock.nowMs() - startedMs) / 1_000
  for (const one of lines) one.close()
  const [read, unread] = [await refused('BadMessage'), await refused('TooManyRequests')]
  const counts = Map.groupBy(codes, (code) => code)
  const said = [...counts].map(([code, all]) => `${all.length} ${code}`).join(', ')
  t.diagnostic(`${codes.length} calls in ${seconds} s (${said}); ${read} read, ${unread} unread`)
  const half = Math.floor(CALLS / 2)
  t.diagnostic(`own calls: ${alone[half]} ms alone, ${beside[half]} ms beside it (median)`)
  assert.ok(!codes.includes(null), 'one was taken')
  assert.ok(read + unread <= codes.length)
  assert.ok(read <= RATE.burst + RATE.perSecond * (seconds + 1), `${read} were read`)
  assert.ok(unread > read, `it was a flood: ${unread} unread, ${read} read`)
  // When it is over the agreement goes on.
  await west.start()
  await until('west hears and is heard', () => west.peering.trouble(west.peer().uid) === null)
})
