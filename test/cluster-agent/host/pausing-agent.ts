// Holds a host's tgtd still, and is to be killed: pausing-agent.ts PID SOCKET SECONDS, the first of
// any process of the host. It says when tgtd stands still.

import { whileTgtdPauses } from '../../../cluster-agent/host/tgt-pause.ts'
import { systemClock } from '../../../common/clock.ts'
import { type Exec, exec } from '../../../common/exec.ts'

const [, , pid, socket = '', mostS] = process.argv
const inHost: Exec = (argv, options) =>
  exec(['nsenter', `--target=${pid}`, '--all', '--', ...argv], options)
await whileTgtdPauses(
  { exec: inHost, clock: systemClock, mostS: Number(mostS) },
  { socket },
  () => {
    console.log('still')
    return systemClock.sleep(3_600_000)
  },
)
