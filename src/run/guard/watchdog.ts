/**
 * Ends a program that hangs, so that its service manager starts it again. Three nets, each for what the one before
 * cannot see: the deadlines of our loops (deadlines.ts), a native thread that checks that the main thread still runs,
 * and the service manager's own watchdog, which we feed only when a loop has made progress.
 */
import { writeFileSync } from 'node:fs'
import { utimes, writeFile } from 'node:fs/promises'
import { url as inspectorUrl } from 'node:inspector'
import { loadAddon } from '../../addon.js'
import { exitStatus, GapcamError, messageOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import { createDeadlines, type Activity, type Deadlines, type Hang } from './deadlines.js'
import type { ServiceManager } from '../../service/manager.js'

export interface WatchdogOptions {
  readonly manager: ServiceManager
  readonly log: Pick<Logger, 'warn' | 'fatal'>
  /** The main thread may be blocked for this long. */
  readonly mainThreadMs: number
  /** A file that is touched with each progress, for health checks; '' for none. */
  readonly progressFile: string
  /** A file that is created when the program hangs, before it ends; '' for none. Its folder may be missing. */
  readonly hangFile: string
  /** Whether the node counts as started when a loop begins this activity. */
  readonly isReady: (activity: Activity) => boolean
  /** One line for the service manager's status display. */
  readonly status: () => string
}

export interface Watchdog {
  readonly deadlines: Deadlines
  close(): void
}

const reportEveryMs = 1000
const statusEveryMs = 5000
const beatEveryMs = 250

/** Starts all three nets. Only for programs of our own: a hang ends the process. */
export function startWatchdog({
  manager,
  log,
  mainThreadMs,
  progressFile,
  hangFile,
  isReady,
  status,
}: WatchdogOptions): Watchdog {
  let hasBeenReady = false
  let reportedMs = -Infinity
  let statusMs = -Infinity
  const touch = toucher(progressFile, log)
  const stopWatch = watchMainThread(mainThreadMs, hangFile)

  function onProgress(activity: Activity): void {
    if (!hasBeenReady && isReady(activity)) {
      hasBeenReady = true
      manager.ready()
      reportedMs = statusMs = -Infinity
    }
    const nowMs = performance.now()
    if (nowMs - reportedMs < reportEveryMs) return
    reportedMs = nowMs
    manager.alive()
    touch()
    if (!manager.isThere || nowMs - statusMs < statusEveryMs) return
    statusMs = nowMs
    manager.status(status())
  }

  const deadlines = createDeadlines({
    onProgress,
    onHang: (hang) => {
      const error = hangError(hang)
      manager.status(error.message)
      log.fatal({ code: error.code, loop: hang.loop }, `${error.message}; ${error.hint}`)
      mark(hangFile)
      exitNow(process.exitCode === undefined ? error.exitStatus : Number(process.exitCode))
    },
  })
  return {
    deadlines,
    close() {
      deadlines.close()
      stopWatch()
    },
  }
}

function hangError({ loop, activity, deadlineMs }: Hang): GapcamError {
  return new GapcamError('STAGE_HUNG', `${loop} has been ${activity} for more than ${deadlineMs / 1000} s`)
}

/**
 * Ends the process although one of its threads hangs; process.exit() would wait for that thread. The addon ends with
 * `status`; without the addon it is SIGKILL, which a service manager counts as a failure too.
 */
export function exitNow(status: number): never {
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.exitNow(status)
  process.kill(process.pid, 'SIGKILL')
  for (;;); // not reached: a SIGKILL to oneself is delivered before the call returns
}

/** Leaves a file for the next start to find. */
function mark(file: string): void {
  if (file === '') return
  try {
    writeFileSync(file, '')
  } catch {
    // Without the folder there is nothing that the mark could be about.
  }
}

/** Not while a debugger is attached: it may stop the main thread. */
function watchMainThread(limitMs: number, hangFile: string): () => void {
  const loaded = loadAddon()
  if (!('addon' in loaded) || inspectorUrl() !== undefined) return () => undefined
  const sentence = `gapcam: the main thread has hung for more than ${limitMs / 1000} s; ending, so that the service manager starts gapcam again\n`
  const watch = loaded.addon.watchMainThread(limitMs, exitStatus.hung, sentence, hangFile)
  const timer = setInterval(() => watch.beat(), beatEveryMs).unref()
  return () => {
    clearInterval(timer)
    watch.stop()
  }
}

/** Sets the file's time and creates the file where it is missing. A failure is logged once and retried. */
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
