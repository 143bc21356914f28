// nginx, the practical limit of a server of files: static files, and WebDAV's PUT, which moves what
// it has received into place and syncs nothing.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../sandbox/until.ts'
import { freePorts } from '../../test/support/ports.ts'

const START_MS = 10_000

export interface Nginx {
  readonly port: number
  readonly stop: () => Promise<void>
}

/** Serves `dir`. Null where `nginx` with WebDAV (Debian: nginx-light) is not installed. */
export async function startNginx(dir: string): Promise<Nginx | null> {
  const [port = 0] = await freePorts(1)
  await mkdir(join(dir, 'files'), { recursive: true, mode: 0o755 })
  const file = join(dir, 'nginx.conf')
  await writeFile(file, configOf(dir, port))
  const argv = ['-c', file, '-p', dir, '-e', 'stderr']
  const child = spawn('nginx', argv, { stdio: ['ignore', 'ignore', 'inherit'] })
  const gone = once(child, 'exit')
  const isThere = await once(child, 'spawn').then(
    () => true,
    () => false,
  )
  if (!isThere) return null
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
  const stop = async (): Promise<void> => {
    if (!ended()) child.kill('SIGTERM')
    await gone
  }
  try {
    await until('nginx answers', async () => ended() || (await answers(port)), {
      timeoutMs: START_MS,
    })
  } catch (error) {
    await stop()
    throw error
  }
  return ended() ? null : { port, stop }
}

function configOf(dir: string, port: number): string {
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off; ${user} worker_processes auto; pid ${join(dir, 'nginx.pid')};
error_log stderr crit;
events { worker_connections 256; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  ${temporary.map((name) => `${name}_temp_path ${join(dir, name)};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 0;
    location / { root ${join(dir, 'files')}; dav_methods PUT; create_full_put_path on; }
  }
}
`
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  )
}
