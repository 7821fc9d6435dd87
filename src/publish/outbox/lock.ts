/**
 * The lock of an outbox's folder: one process at a time uses it. The lock file names the process and a socket on which
 * that process answers. If the socket does not answer, the process is gone; its number may belong to another process by
 * then, and the two may be in different containers. `gapcam outbox` asks its questions on the same socket.
 *
 * Locks are numbered, and the highest counts. A process that finds the highest lock abandoned makes the next one
 * (link(2) succeeds for one process only), checks that it is the highest, and then removes the lower ones. A lock that
 * may be in use is never removed.
 */
import { randomUUID } from 'node:crypto'
import { link, open, readdir, readFile, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { GapcamError } from '../../errors.js'
import { makeFolder } from '../../folder.js'

export interface Holder {
  readonly pid: number
  /** The name of its socket in the folder. */
  readonly socket: string
}

/** Answers one question, with any number of lines. */
export type Answer = (question: unknown, write: (line: unknown) => void) => Promise<void>

const nameOf = (number: number): string => `lock.${number}`
const connectTimeoutMs = 2000

/**
 * Locks the folder; resolves with the function that unlocks it. Rejects with OUTBOX_LOCKED, or with the file system's
 * error.
 */
export async function lockFolder(folder: string, answer: Answer): Promise<() => Promise<void>> {
  await makeFolder(folder, 0o750)
  const own: Holder = { pid: process.pid, socket: `${randomUUID().slice(0, 8)}.sock` }
  const directory = await open(folder, 'r')
  let server: Server | null = null
  try {
    // It listens before the lock names it, because a silent socket means an abandoned lock.
    server = await listen(socketPath(directory, own.socket), answer)
    await claim(folder, directory, own)
  } catch (error) {
    server?.close()
    await directory.close()
    throw error
  }
  const held = server
  return async () => {
    await new Promise<void>((resolve) => held.close(() => resolve()))
    await directory.close()
  }
}

/** The process that holds the folder; null when there is none. */
export async function holderOf(folder: string): Promise<Holder | null> {
  const holder = await readHolder(folder)
  if (!holder) return null
  const directory = await open(folder, 'r')
  try {
    const socket = await reach(socketPath(directory, holder.socket))
    socket?.destroy()
    return socket ? holder : null
  } finally {
    await directory.close()
  }
}

/** Asks the process that holds the folder; false when there is none. Rejects when it ends before it has answered. */
export async function ask(folder: string, question: unknown, read: (line: unknown) => void): Promise<boolean> {
  const holder = await readHolder(folder)
  if (!holder) return false
  const directory = await open(folder, 'r')
  try {
    const socket = await reach(socketPath(directory, holder.socket))
    if (!socket) return false
    socket.write(`${JSON.stringify(question)}\n`)
    let isWhole = false
    for await (const text of createInterface({ input: socket })) {
      const line = JSON.parse(text) as { end?: boolean }
      if (line.end === true) isWhole = true
      else read(line)
    }
    if (!isWhole)
      throw new GapcamError(
        'OUTBOX_LOCKED',
        `outbox ${folder}: process ${holder.pid} uses it and ended before it had answered`,
      )
    return true
  } finally {
    await directory.close()
  }
}

/** A socket's address is limited to 108 bytes, and a folder's path may be longer: this one is always short. */
function socketPath(directory: FileHandle, name: string): string {
  return `/proc/self/fd/${directory.fd}/${name}`
}

function reach(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const timer = setTimeout(() => {
      socket.destroy()
    }, connectTimeoutMs)
    socket.on('error', () => undefined)
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(null)
    })
  })
}

async function claim(folder: string, directory: FileHandle, own: Holder): Promise<void> {
  const draft = join(folder, `${own.socket}.lock`)
  await writeFile(draft, JSON.stringify(own), { mode: 0o640 })
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      const [highest = 0] = await locksIn(folder)
      await requireAbandoned(folder, directory, highest)
      const next = highest + 1
      const isMade = await link(draft, join(folder, nameOf(next))).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error
          return false
        },
      )
      if (!isMade) continue
      const [now, ...lower] = await locksIn(folder)
      if (now === next) return await removeAll(folder, lower)
      await unlink(join(folder, nameOf(next)))
    }
    throw new GapcamError('OUTBOX_LOCKED', `outbox ${folder}: other processes keep taking its lock`)
  } finally {
    await unlink(draft).catch(() => undefined)
  }
}

/** The numbers of all locks, highest first. */
async function locksIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.flatMap((name) => (/^lock\.\d+$/.test(name) ? [Number(name.slice(5))] : [])).sort((a, b) => b - a)
}

async function requireAbandoned(folder: string, directory: FileHandle, number: number): Promise<void> {
  const holder = await readLock(folder, number)
  const socket = holder && (await reach(socketPath(directory, holder.socket)))
  socket?.destroy()
  if (socket) throw new GapcamError('OUTBOX_LOCKED', `outbox ${folder}: process ${holder.pid} uses it`)
}

async function removeAll(folder: string, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    const holder = await readLock(folder, number)
    if (holder) await unlink(join(folder, holder.socket)).catch(() => undefined)
    await unlink(join(folder, nameOf(number))).catch(() => undefined)
  }
}

async function readHolder(folder: string): Promise<Holder | null> {
  const [highest = 0] = await locksIn(folder)
  return readLock(folder, highest)
}

/** Null for a lock that does not exist, or that a power cut left empty. */
async function readLock(folder: string, number: number): Promise<Holder | null> {
  try {
    const { pid, socket } = JSON.parse(await readFile(join(folder, nameOf(number)), 'utf8')) as Holder
    return Number.isSafeInteger(pid) && /^[0-9a-f]{8}\.sock$/.test(socket) ? { pid, socket } : null
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function listen(path: string, answer: Answer): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    // Only a whole line is a question.
    createInterface({ input: socket, crlfDelay: Infinity }).once('line', (text) => {
      const write = (line: unknown): void => {
        if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`)
      }
      const question = text.length > 4096 ? null : parsed(text)
      answer(question, write).then(
        () => {
          write({ end: true })
          socket.end()
        },
        () => {
          socket.destroy()
        },
      )
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })
  return server.unref()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
