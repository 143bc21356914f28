// Where-things-are flags that the agent's commands share.

import { DEFAULT_PATHS, type Paths } from './paths.ts'

const path = (brief: string, value: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder: 'path', default: value }) as const

export const pathFlags = {
  stateDir: path('Folder that survives a reboot', DEFAULT_PATHS.stateDir),
  runDir: path('Folder of sockets and pid files', DEFAULT_PATHS.runDir),
  config: path('Configuration file', DEFAULT_PATHS.configFile),
}

export interface PathFlags {
  readonly stateDir: string
  readonly runDir: string
  readonly config: string
}

export function pathsOf({ stateDir, runDir, config }: PathFlags): Paths {
  return { stateDir, runDir, configFile: config }
}
