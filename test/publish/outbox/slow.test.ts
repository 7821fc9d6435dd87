import { afterEach, expect, it } from 'vitest'
import { realFiles, type OutboxFiles } from '../../../src/publish/outbox/files.js'
import { cleanUp, temporaryFolder, until } from '../mosquitto.js'
import { add, diskOutbox, numbers, settled, takeAll } from './fixture.js'

afterEach(cleanUp)

it('a disk that does not answer delays no event, and has all of them later', async () => {
  const folder = temporaryFolder()
  let release = (): void => undefined
  let hanging: Promise<void> | null = null
  const files: OutboxFiles = {
    ...realFiles,
    async create(path) {
      const file = await realFiles.create(path)
      return {
        ...file,
        sync: async () => {
          await hanging
          await file.sync()
        },
      }
    },
  }
  const outbox = await diskOutbox({ folder, files, slowMs: 20 })
  add(outbox)
  await settled(outbox)
  hanging = new Promise((resolve) => {
    release = resolve
  })
  for (let i = 0; i < 3; i++) add(outbox, 'a', true)
  expect(outbox.takeLive(), 'not before it is on disk').toBeNull()
  await until(() => outbox.stats().state === 'degraded', 'the disk to be given up for now')
  expect(outbox.stats().reason).toMatch(/has not answered for 20 ms/)
  const live = [outbox.takeLive(), outbox.takeLive()]
  expect(live.map((event) => event?.seq)).toEqual([2, 3])
  outbox.confirm(live[0]!)
  hanging = null
  release()
  await until(() => outbox.stats().state === 'ok', 'the disk to be believed again')
  await settled(outbox)
  outbox.takeBack()
  expect(numbers(await takeAll(outbox))).toEqual([1, 3, 4])
  await outbox.close()
  const next = await diskOutbox({ folder })
  expect(next.seq).toBe(4)
  expect(numbers(await takeAll(next))).toEqual([1, 3, 4])
  await next.close()
})

it('events that came before the disk could be read are sent from memory, and no event on disk is hidden by their numbers', async () => {
  const folder = temporaryFolder()
  const earlier = await diskOutbox({ folder })
  for (let i = 0; i < 3; i++) add(earlier)
  await settled(earlier)
  await earlier.close()
  let answer = (): void => undefined
  const hanging = new Promise<void>((resolve) => {
    answer = resolve
  })
  const files: OutboxFiles = { ...realFiles, list: async (path) => (await hanging, realFiles.list(path)) }
  const outbox = await diskOutbox({ folder, files, slowMs: 20 })
  for (let i = 0; i < 2; i++) add(outbox, 'late')
  answer()
  await until(() => outbox.stats().state === 'ok', 'the disk to be read')
  add(outbox)
  await settled(outbox)
  expect(outbox.stats().queued).toBe(6)
  const all = await takeAll(outbox)
  expect(all.map((entry) => [entry.camera, entry.kind === 'event' && entry.seq])).toEqual([
    ['a', 1],
    ['a', 2],
    ['a', 3],
    ['a', 4],
    ['late', 1],
    ['late', 2],
  ])
  for (const entry of all) outbox.confirm(entry)
  expect(outbox.stats().queued).toBe(0)
  await outbox.close()
})
