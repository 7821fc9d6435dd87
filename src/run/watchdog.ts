/**
 * Ends a program that hangs, so that whoever supervises it starts it again. Three nets, each for what the one before
 * cannot see: deadlines of stages (progress.ts), a native thread that looks whether the main thread still comes by, and
 * the service manager's own watchdog, which hears from us only when the pipeline has really got on.
 */
import { utimes, writeFile } from 'node:fs/promises'
import { url as inspectorUrl } from 'node:inspector'
import { loadAddon } from '../addon.js'
import { exitStatus, GapcamError, messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { createProgress, type Hang, type Progress, type Stage } from './progress.js'
import type { ServiceManager } from '../service/manager.js'

export interface WatchdogOptions {
  readonly manager: ServiceManager
  readonly log: Pick<Logger, 'warn' | 'fatal'>
  /** The main thread may be away for so long. */
  readonly mainThreadMs: number
  /** A file whose time is that of the last progress, for health checks; '' for none. */
  readonly progressFile: string
  /** Whether the run has got so far that it is up. */
  readonly isReady: (stage: Stage) => boolean
  /** One line that says what the run does, asked for now and then. */
  readonly status: () => string
}

export interface Watchdog {
  readonly progress: Progress
  close(): void
}

const sayEveryMs = 1000
const statusEveryMs = 5000
const beatEveryMs = 250

export function startWatchdog({
  manager,
  log,
  mainThreadMs,
  progressFile,
  isReady,
  status,
}: WatchdogOptions): Watchdog {
  let hasBeenReady = false
  let saidMs = -Infinity
  let statusMs = -Infinity
  const touch = toucher(progressFile, log)
  const stopWatch = watchMainThread(mainThreadMs)

  function onProgress(stage: Stage): void {
    if (!hasBeenReady && isReady(stage)) {
      hasBeenReady = true
      manager.ready()
      saidMs = statusMs = -Infinity
    }
    const nowMs = performance.now()
    if (nowMs - saidMs < sayEveryMs) return
    saidMs = nowMs
    manager.alive()
    touch()
    if (!manager.isThere || nowMs - statusMs < statusEveryMs) return
    statusMs = nowMs
    manager.status(status())
  }

  const progress = createProgress({
    onProgress,
    onHang: (hang) => {
      const error = hangError(hang)
      manager.status(error.message)
      log.fatal({ code: error.code, loop: hang.loop }, `${error.message}; ${error.hint}`)
      exitNow(process.exitCode === undefined ? error.exitStatus : Number(process.exitCode))
    },
  })
  return {
    progress,
    close() {
      progress.close()
      stopWatch()
    },
  }
}

function hangError({ loop, stage, deadlineMs }: Hang): GapcamError {
  return new GapcamError('STAGE_HUNG', `${loop} has been ${stage} for more than ${deadlineMs / 1000} s`)
}

/**
 * Ends the process though a thread of it hangs: process.exit() would wait for that thread. A status is kept where the
 * addon can give it; else SIGKILL ends us, which a service manager takes for a failure too.
 */
export function exitNow(status: number): never {
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.exitNow(status)
  process.kill(process.pid, 'SIGKILL')
  for (;;); // not reached: SIGKILL to oneself is delivered before the call returns
}

/** Nobody watches while a debugger may hold the main thread. */
function watchMainThread(limitMs: number): () => void {
  const loaded = loadAddon()
  if (!('addon' in loaded) || inspectorUrl() !== undefined) return () => undefined
  const words = `gapcam: the main thread has hung for more than ${limitMs / 1000} s; ending, so that the service manager starts gapcam again\n`
  const watch = loaded.addon.watchMainThread(limitMs, exitStatus.hung, words)
  const timer = setInterval(() => watch.beat(), beatEveryMs).unref()
  return () => {
    clearInterval(timer)
    watch.stop()
  }
}

/** Sets the file's time, and makes the file where it is missing. What goes wrong is said once, and tried again. */
function toucher(file: string, log: Pick<Logger, 'warn'>): () => void {
  if (file === '') return () => undefined
  let isUnderWay = false
  let hasFailed = false
  const touch = async (): Promise<void> => {
    const now = new Date()
    try {
      await utimes(file, now, now).catch(() => writeFile(file, '', { mode: 0o644 }))
    } catch (error) {
      if (!hasFailed)
        log.warn({ file }, `the progress file cannot be written, so health checks fail: ${messageOf(error)}`)
      hasFailed = true
    }
    isUnderWay = false
  }
  return () => {
    if (isUnderWay) return
    isUnderWay = true
    void touch()
  }
}
