/**
 * Real file systems that fail: full, limited, read-only. The outbox keeps sending live events, reports it, and
 * recovers.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { endAll, launch } from '../../process.js'
import { projectRoot } from '../../shared.js'
import { cleanUp, temporaryFolder } from '../mosquitto.js'

afterEach(async () => {
  await endAll()
  await cleanUp()
})

/** A separate mount namespace: as root, or as root of a user namespace where the kernel allows one. */
const namespace = process.getuid?.() === 0 ? ['-m'] : ['-Urm']
const canMount = spawnSync('unshare', [...namespace, 'true']).status === 0

interface Seen {
  readonly added: number
  readonly live: readonly number[]
  readonly backlog: readonly (number | 'gap')[]
  readonly degraded: { readonly state: string; readonly reason: string; readonly dropped: number }
  readonly liveWhileDegraded: number
  readonly nextSeq: number
  readonly lines: readonly string[]
}

async function sick(kind: string): Promise<Seen> {
  const folder = temporaryFolder()
  chmodSync(folder, 0o755)
  const script = `mount -t tmpfs -o size=400k none ${folder} && exec ${process.execPath} ${projectRoot}test/publish/outbox/sick-disk.mjs ${kind} ${folder}`
  const run = launch('unshare', [...namespace, 'sh', '-c', script])
  expect(await run.ended, run.stderr()).toBe(0)
  return JSON.parse(run.stdout()) as Seen
}

describe.skipIf(!canMount)(
  'a real disk that fails (skipped where no file system may be mounted)',
  { timeout: 120_000 },
  () => {
    it.each([
      ['full', /the disk is full/],
      ['limit', /EFBIG/],
      ['readonly', /the file system is read-only/],
    ])('a disk fault (%s) stops no live event, loses none, and is recovered from', async (kind, reason) => {
      const { added, live, backlog, degraded, liveWhileDegraded, nextSeq, lines } = await sick(kind)
      expect(degraded).toMatchObject({ state: 'degraded', reason: expect.stringMatching(reason), dropped: 0 })
      expect(liveWhileDegraded).toBeGreaterThanOrEqual(1)
      expect(lines.filter((line) => /^warn: outbox degraded: /.test(line))).toHaveLength(1)
      expect(lines).toContain('info: outbox: events are written to disk again')
      expect(backlog).not.toContain('gap')
      const all = [...live, ...(backlog as number[])].sort((a, b) => a - b)
      expect(all).toEqual(Array.from({ length: added }, (_, i) => i + 1))
      expect(backlog).toEqual([...backlog].sort((a, b) => Number(a) - Number(b)))
      expect(nextSeq).toBe(added + 1)
    })
  },
)
