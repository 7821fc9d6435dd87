// An outbox on a real file system that fails: run inside a mount namespace by degraded.test.ts. Says what it saw as JSON.
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openDurableOutbox } from '../../../dist/publish/outbox/durable.js'

const [kind, mount] = process.argv.slice(2)
const folder = join(mount, 'outbox')
const filler = join(mount, 'filler')
const lines = []
const note = (level) => (_fields, message) => {
  lines.push(`${level}: ${message}`)
}
const options = {
  folder,
  maxBytes: 64 << 20,
  maxAgeMs: 1e12,
  ack: 'puback',
  log: { info: note('info'), warn: note('warn'), debug() {} },
  clock: { now: () => performance.now(), wall: () => Date.now() },
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const until = async (condition, what) => {
  const endMs = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited for ${what}`)
    await pause(5)
  }
}
const shell = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
const faults = {
  /** The disk is full of another file. */
  full: [
    () => {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(1024))
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error
      }
    },
    () => rmSync(filler),
  ],
  /** No file may exceed 6 KiB (RLIMIT_FSIZE): writes end half done with EFBIG. */
  limit: [
    () => shell('prlimit', '--pid', String(process.pid), '--fsize=6144:'),
    () => shell('prlimit', '--pid', String(process.pid), '--fsize=unlimited:'),
  ],
  /** The file system is read-only at the start. */
  readonly: [() => shell('mount', '-o', 'remount,ro', mount), () => shell('mount', '-o', 'remount,rw', mount)],
}
const payload = (seq) => JSON.stringify({ seq, filling: '.'.repeat(900) })

mkdirSync(folder, { recursive: true })
let outbox = await openDurableOutbox(options)
for (let i = 0; i < 5; i++) outbox.add('cam0', 'event', false, payload)
await until(() => outbox.seq === 5 && !outbox.isBusy, 'the first events')
const [begin, end] = faults[kind]
if (kind === 'readonly') await outbox.close()
begin()
if (kind === 'readonly') outbox = await openDurableOutbox(options)

const live = []
const takeLive = () => {
  for (let event = outbox.takeLive(); event; event = outbox.takeLive()) {
    live.push(event.seq)
    outbox.confirm(event)
  }
}
let added = 5
for (; added < 405 && (outbox.stats().state === 'ok' || added < 50); added++) {
  outbox.add('cam0', 'event', added % 2 === 0, payload)
  await pause(1)
  takeLive()
}
await until(() => outbox.stats().state === 'degraded', 'the fault to be noticed')
const degraded = outbox.stats()
const liveBefore = live.length
outbox.add('cam0', 'event', true, payload)
added++
takeLive()
const liveWhileDegraded = live.length - liveBefore
end()
await until(() => outbox.stats().state === 'ok', 'the outbox to heal')
await until(() => !outbox.isBusy, 'its writes')
await outbox.close()

// What a later start finds.
outbox = await openDurableOutbox(options)
const backlog = []
for (;;) {
  const entry = outbox.takeBacklog()
  if (entry) {
    backlog.push(entry.kind === 'event' ? entry.seq : 'gap')
    outbox.confirm(entry)
  } else if (!outbox.isBusy) break
  else await pause(1)
}
const nextSeq = outbox.seq + 1
await outbox.close()
process.stdout.write(JSON.stringify({ added, live, backlog, degraded, liveWhileDegraded, nextSeq, lines }))
