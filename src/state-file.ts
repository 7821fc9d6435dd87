/**
 * A small JSON file that is whole at every moment: it is written under another name, synced and renamed. After SIGKILL
 * or power loss it holds the last confirmed value. A damaged file is renamed and reported; it does not prevent a start.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { readFileSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { z } from 'zod'
import { fileFaultOf, messageOf, writeFaultOf } from './errors.js'
import type { Logger } from './log.js'

export interface StateFileOptions<T> {
  /** Null keeps the value in memory only. */
  readonly path: string | null
  readonly schema: z.ZodType<T>
  readonly empty: T
  readonly log: Pick<Logger, 'warn'>
  /** Least time between two writes, so that commands cannot wear the SD card out; default 1000. */
  readonly everyMs?: number | undefined
}

export interface StateFile<T> {
  readonly value: T
  /** Takes the value at once; resolves with true when it is on disk, and with false when it could not be written. */
  replace(value: T): Promise<boolean>
  /** Writes what waits. */
  close(): Promise<void>
}

/**
 * Reads the file. Never throws: a file that is damaged or cannot be read counts as `empty`.
 *
 *     const file = openStateFile({ path, schema: z.strictObject({ n: z.number() }), empty: { n: 0 }, log })
 *     await file.replace({ n: file.value.n + 1 })
 */
export function openStateFile<T>({ path, schema, empty, log, everyMs = 1000 }: StateFileOptions<T>): StateFile<T> {
  let value = path === null ? empty : (read(path, schema, log) ?? empty)
  let waiting: ((isKept: boolean) => void)[] = []
  let writing: Promise<void> | null = null
  let lastMs = -Infinity
  let hurry: (() => void) | null = null
  let isClosing = false
  let hasFailed = false

  async function writeAll(file: string): Promise<void> {
    await removeStrays(file)
    while (waiting.length > 0) {
      await untilDue()
      const confirmed = waiting
      waiting = []
      const isKept = await tryWrite(file, value)
      for (const resolve of confirmed) resolve(isKept)
    }
    writing = null
  }

  function untilDue(): Promise<void> {
    const left = lastMs + everyMs - performance.now()
    if (left <= 0 || isClosing) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, left)
      hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function tryWrite(file: string, written: T): Promise<boolean> {
    lastMs = performance.now()
    try {
      await write(file, written)
      hasFailed = false
      return true
    } catch (error) {
      if (!hasFailed)
        log.warn({ file }, `${file} cannot be written: ${writeFaultOf(error)}; changes are lost at the next start`)
      hasFailed = true
      return false
    }
  }

  return {
    get value() {
      return value
    },
    replace(next) {
      value = next
      if (path === null) return Promise.resolve(false)
      const kept = new Promise<boolean>((resolve) => {
        waiting.push(resolve)
      })
      writing ??= writeAll(path)
      return kept
    },
    async close() {
      isClosing = true
      hurry?.()
      await writing
    },
  }
}

function read<T>(file: string, schema: z.ZodType<T>, log: Pick<Logger, 'warn'>): T | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({ file }, `${file} cannot be read: ${fileFaultOf(error)}; it counts as empty`)
    return null
  }
  let why: string
  try {
    const result = schema.safeParse(JSON.parse(text))
    if (result.success) return result.data
    why = `${result.error.issues[0]?.path.join('.') ?? ''}: ${result.error.issues[0]?.message ?? ''}`
  } catch (error) {
    why = messageOf(error)
  }
  const aside = `${file}.damaged`
  try {
    renameSync(file, aside)
    log.warn({ file }, `${file} is damaged (${why}); it is renamed to ${basename(aside)} and counts as empty`)
  } catch {
    log.warn({ file }, `${file} is damaged (${why}); it counts as empty`)
  }
  return null
}

/** Removes the files of processes that were killed between writing and renaming. */
async function removeStrays(file: string): Promise<void> {
  const pattern = new RegExp(`^${basename(file).replace(/\W/g, '\\$&')}\\.(\\d+)\\.new$`)
  for (const name of await readdir(dirname(file)).catch(() => [])) {
    const pid = pattern.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(dirname(file), name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const write = (file: string, value: unknown): Promise<void> => writeWhole(file, `${JSON.stringify(value)}\n`)

/**
 * Writes a file so that it holds the old or the new bytes at every moment, also after power loss. Each process writes a file
 * of its own name; the last rename wins, and its file is whole. Rejects with the error of the file system, and then leaves
 * nothing behind.
 *
 *     await writeWhole('/var/lib/gapcam/porch/taught/gate/record.json', text)
 */
export async function writeWhole(file: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const fresh = `${file}.${process.pid}.new`
  try {
    const handle = await open(fresh, 'w', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined)
    throw error
  }
  const folder = await open(dirname(file), 'r')
  // The rename itself is on the disk only when the folder is.
  await folder.sync().finally(() => folder.close())
}
