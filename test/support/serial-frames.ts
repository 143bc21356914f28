// A line of frames in memory, for tests of what is at its ends.

import type { SerialFrame } from '../../proto/gen/mallee/v1/serial_pb.js'
import type { FrameListener, Frames } from '../../proto/serial-frames.ts'

/** Two ends of one line in memory. */
export function framePair(): [Frames, Frames] {
  const listeners: (FrameListener | null)[] = [null, null]
  const early: SerialFrame[][] = [[], []]
  let isOver = false
  const end = (side: 0 | 1): Frames => {
    const far = side === 0 ? 1 : 0
    const send = (frame: SerialFrame): void => {
      const to = listeners[far]
      if (to == null) early[far]?.push(frame)
      else to.frame(frame)
    }
    return {
      send: (frame) => {
        if (!isOver) send(frame)
      },
      listen: (listener) => {
        listeners[side] = listener
        for (const frame of early[side]?.splice(0) ?? []) listener.frame(frame)
      },
      end: (reason) => {
        if (isOver) return
        isOver = true
        send({ $typeName: 'mallee.v1.SerialFrame', body: { case: 'end', value: ending(reason) } })
        for (const one of listeners) one?.over(null)
      },
    }
  }
  return [end(0), end(1)]
}

function ending(reason: string) {
  return { $typeName: 'mallee.v1.SerialEnd', reason } as const
}
