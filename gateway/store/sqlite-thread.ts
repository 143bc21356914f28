// The thread in which a SQLite store commits: what arrives while one commit is synced makes the
// next one. Messages: proposals in, outcomes out; null ends it.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Committer, MAX_BATCH, type Proposal } from './sqlite-committer.ts'
import { connect } from './sqlite-file.ts'

const { path, keep } = workerData as { readonly path: string; readonly keep: number }
const db = connect(path)
const committer = new Committer(db, path, keep)

parentPort?.on('message', (first: readonly Proposal[] | null) => {
  let message: readonly Proposal[] | null | undefined = first
  const batch: Proposal[] = []
  while (message !== null && message !== undefined) {
    batch.push(...message)
    message = batch.length < MAX_BATCH ? next() : undefined
  }
  if (batch.length > 0) parentPort?.postMessage(committer.commit(batch))
  if (message === null) end()
})

function next(): readonly Proposal[] | null | undefined {
  return parentPort === null ? undefined : receiveMessageOnPort(parentPort)?.message
}

function end(): void {
  db.close()
  parentPort?.close()
}
