/** Work that runs while a switch is on: the capture of a camera that commands can disable. */

export interface Switched {
  readonly isOn: () => boolean
  /** Calls back when the switch may have moved; returns a function that removes the listener. */
  readonly onMove: (listener: () => void) => () => void
  /** Must end when its signal comes. `hasRun`: the switch has stopped it before. */
  readonly work: (signal: AbortSignal, hasRun: boolean) => Promise<void>
  /** Called immediately, before the work has ended, and at the start where the switch is off. */
  readonly onOff: () => void
  readonly onOn: () => void
}

/** Resolves when the work ends by itself or `signal` comes; rejects when the work does. Quick switching never runs the work twice at once. */
export async function whileOn({ isOn, onMove, work, onOff, onOn }: Switched, signal: AbortSignal): Promise<void> {
  let hasRun = false
  if (!isOn()) onOff()
  while (!signal.aborted) {
    if (!isOn()) {
      await nextMove(onMove, isOn, signal)
      if (signal.aborted) return
      hasRun = true
      onOn()
    }
    const stopping = new AbortController()
    const stop = (): void => stopping.abort()
    let wasSwitchedOff = false
    const unlisten = onMove(() => {
      if (wasSwitchedOff || isOn()) return
      wasSwitchedOff = true
      onOff()
      stop()
    })
    signal.addEventListener('abort', stop, { once: true })
    try {
      await work(stopping.signal, hasRun)
    } finally {
      unlisten()
      signal.removeEventListener('abort', stop)
    }
    if (!wasSwitchedOff) return
    hasRun = true
    if (isOn()) onOn()
  }
}

function nextMove(onMove: Switched['onMove'], isOn: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      unlisten()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const unlisten = onMove(() => {
      if (isOn()) done()
    })
    signal.addEventListener('abort', done, { once: true })
  })
}
