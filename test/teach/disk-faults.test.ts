/**
 * Teaching on a disk that fails at each of its calls, one after the other: the head that serves is whole, its pictures are there,
 * nothing half-written is left, and the same change succeeds when the disk works again.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, promises, readdirSync, readFileSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTaughtHead, type TaughtHead } from '../../src/teach/taught-head.js'
import { openTeacher, type Teacher } from '../../src/teach/teacher.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-failing-'))
let teacher: Teacher
beforeAll(async () => {
  const model = join(projectRoot, 'models/convnet-gap.onnx')
  teacher = await openTeacher({ model, engine: { threads: 1, inputSize: { height: 32, width: 32 } } })
})
afterAll(async () => {
  await teacher.close()
  rmSync(folder, { recursive: true, force: true })
})

const picture = (state: string, number: number): Promise<Buffer> =>
  sharp(
    Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => {
      const isBright = i < 40 * 40 * 1.5 === (state === 'upper')
      return (isBright ? 180 : 50) + ((i * (number + 3)) % 29)
    }),
    { raw: { width: 40, height: 40, channels: 3 } },
  )
    .png()
    .toBuffer()

type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>

/** Counts the calls that write while work runs, and lets one of them fail; 0: none. */
async function withFailing(failing: number, work: () => Promise<unknown>): Promise<{ calls: number; error: unknown }> {
  const handle = await promises.open(folder, 'r')
  const owners: [Calls, string[]][] = [
    [promises as unknown as Calls, ['mkdir', 'open', 'rename', 'rm']],
    [Object.getPrototypeOf(handle) as Calls, ['writeFile', 'sync']],
  ]
  await handle.close()
  let calls = 0
  const before = owners.map(([owner, names]) => names.map((name) => owner[name]!))
  for (const [owner, names] of owners)
    for (const name of names) {
      const real = owner[name]!
      owner[name] = function (this: unknown, ...args: unknown[]) {
        calls++
        if (calls === failing)
          return Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }))
        return real.apply(this, args)
      }
    }
  syncBuiltinESMExports()
  try {
    return {
      error: await work().then(
        () => null,
        (error: unknown) => error,
      ),
      calls,
    }
  } finally {
    owners.forEach(([owner, names], o) => names.forEach((name, n) => (owner[name] = before[o]![n]!)))
    syncBuiltinESMExports()
  }
}

const digestOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

/** What a new process finds: a head whose files are what their names say. */
async function whole(name: string): Promise<TaughtHead> {
  const head = await openTaughtHead(folder, name)
  const { served, pictures } = head.record
  expect(digestOf(head.store.headFile(served!.head))).toBe(served!.head)
  for (const { id } of [...pictures, ...served!.pictures])
    expect(digestOf(join(head.store.folder, 'pictures', id)).slice(0, 24)).toBe(id)
  return head
}

it('a disk that fails at any call of teaching leaves a whole head', async () => {
  const first = await openTaughtHead(folder, 'first')
  for (const state of ['upper', 'lower'])
    for (let i = 0; i < 2; i++) await first.add(state, await picture(state, i), null)
  await first.fit(teacher)
  const more = await picture('upper', 9)
  const change = (head: TaughtHead) => async (): Promise<void> => {
    await head.add('upper', more, null)
    await head.fit(teacher)
  }
  const tried = async (name: string, failing: number): Promise<{ calls: number; error: unknown }> => {
    cpSync(first.store.folder, join(folder, 'taught', name), { recursive: true })
    const head = await openTaughtHead(folder, name)
    return withFailing(failing, change(head))
  }
  const { calls, error } = await tried('counted', 0)
  expect(error).toBeNull()
  expect(calls).toBeGreaterThan(15)
  let refused = 0
  for (let failing = 1; failing <= calls; failing++) {
    const name = `failing-${failing}`
    const { error: fault } = await tried(name, failing)
    if (fault) {
      refused++
      expect(fault).toMatchObject({ code: 'HEAD_NOT_WRITTEN' })
    }
    const head = await whole(name)
    if (fault) await change(head)()
    expect((await whole(name)).record.served!.pictures).toHaveLength(5)
    const files = readdirSync(head.store.folder, { recursive: true, encoding: 'utf8' })
    expect(files.filter((file) => file.endsWith('.new'))).toEqual([])
    rmSync(head.store.folder, { recursive: true })
  }
  expect(refused).toBeGreaterThan(8)
})
