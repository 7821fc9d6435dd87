/** The log's files: bounds, age, damage, versions. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { realFiles } from '../../../src/publish/outbox/files.js'
import type { WriteTime } from '../../../src/publish/outbox/ledger.js'
import { openLog, type Log, type LogOptions } from '../../../src/publish/outbox/log.js'
import { Ranges } from '../../../src/publish/outbox/ranges.js'
import { crc32 } from '../../../src/crc32.js'
import { decodeRecord, encodeHead, encodeRecord, type EventRecord } from '../../../src/publish/outbox/record.js'
import { cleanUp, temporaryFolder } from '../mosquitto.js'
import { add, diskOutbox, numbers, settled, takeAll } from './fixture.js'

afterEach(cleanUp)

const stamp: WriteTime = { boot: 'b', monoMs: 0, wallMs: 0, isClockSynced: false }
const open = (folder: string, more: Partial<LogOptions> = {}): Promise<Log> =>
  openLog({ folder, files: realFiles, maxBytes: 1 << 20, maxAgeMs: 1e12, writeTime: () => stamp, ...more })
const events = (from: number, to: number, size = 20): EventRecord[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({
    kind: 'event',
    seq: from + i,
    camera: (from + i) % 2 ? 'a' : 'b',
    payload: `${from + i}`.padEnd(size, '.'),
  }))
const segmentsOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => join(folder, name))

async function readAll(log: Log): Promise<number[]> {
  const found: number[] = []
  for (let seq = log.ledger.done.nextMissing(1); seq <= log.lastSeq; ) {
    const read = (await log.read(seq)).map((event) => event.seq)
    found.push(...read)
    seq = log.ledger.done.nextMissing((read.at(-1) ?? seq) + 1)
  }
  return found
}

describe('records', () => {
  it('have a CRC-32 checksum', () => {
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926)
  })

  it('are read as they were written, and damaged bytes never give a wrong record', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            camera: fc.stringMatching(/^[a-z0-9-]{1,40}$/),
            payload: fc.string({ unit: 'grapheme', maxLength: 200 }),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        fc.nat(),
        fc.nat(255),
        (list, at, value) => {
          const records = list.map(
            ({ camera, payload }, i): EventRecord => ({
              kind: i % 2 ? 'event' : 'result',
              seq: i + 1,
              camera,
              payload,
            }),
          )
          const data = Buffer.concat(records.map((record) => encodeRecord(record, 7)))
          data[at % data.length] = value
          const found = []
          for (let decoded = decodeRecord(data, 0, 7); decoded; decoded = decodeRecord(data, decoded.end, 7))
            found.push(decoded.record)
          expect(found.length).toBeGreaterThanOrEqual(records.length - 1)
          for (const record of found) expect(records).toContainEqual(record)
          expect(decodeRecord(data, 0, 8)).toBeNull()
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('ranges', () => {
  it('behave like a set of numbers', () => {
    const runs = fc.array(fc.tuple(fc.nat(40), fc.nat(6)), { maxLength: 30 })
    fc.assert(
      fc.property(runs, fc.nat(45), (list, through) => {
        const ranges = new Ranges()
        const set = new Set<number>()
        for (const [from, length] of list) {
          ranges.add(from, from + length)
          for (let n = from; n <= from + length; n++) set.add(n)
        }
        expect(ranges.count).toBe(set.size)
        for (let n = 0; n < 50; n++) expect(ranges.has(n)).toBe(set.has(n))
        let missing = 0
        while (set.has(missing)) missing++
        expect(ranges.nextMissing(0)).toBe(missing)
        expect(Ranges.from(JSON.parse(JSON.stringify(ranges.runs))).runs).toEqual(ranges.runs)
        const taken = ranges.takeThrough(through).reduce((sum, [from, to]) => sum + to - from + 1, 0)
        expect(taken).toBe([...set].filter((n) => n <= through).length)
        expect(ranges.count).toBe(set.size - taken)
      }),
    )
  })
})

describe('the log', () => {
  it('continues after its last record, in a new file if that is incomplete', async () => {
    const folder = temporaryFolder()
    const log = await open(folder)
    await log.append(events(1, 5), 5)
    await log.append(events(6, 9), null)
    await log.close()
    const [file] = segmentsOf(folder)
    writeFileSync(file!, readFileSync(file!).subarray(0, -7))
    const again = await open(folder)
    expect(again.lastSeq).toBe(8)
    await again.append(events(9, 10), null)
    expect(segmentsOf(folder)).toHaveLength(2)
    expect(await readAll(again)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    await again.close()
  })

  it('loses only the events that damaged bytes belong to, and records a gap', async () => {
    const folder = temporaryFolder()
    const log = await open(folder)
    await log.append(events(1, 20, 100), null)
    await log.close()
    const [file] = segmentsOf(folder)
    const data = readFileSync(file!)
    data.fill(0xff, data.indexOf('7....') - 21, data.indexOf('9....'))
    writeFileSync(file!, data)
    const again = await open(folder)
    const found = await readAll(again)
    expect(found).toEqual([1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
    expect(again.ledger.gaps).toMatchObject([{ from: 7, to: 9, missing: 3 }])
    expect(again.ledger.lost).toBe(3)
    await again.close()
  })

  it('is bounded: the oldest file is removed, and a gap for each camera takes its place', async () => {
    const folder = temporaryFolder()
    const log = await open(folder, { maxBytes: 32 << 10, segmentBytes: 8 << 10 })
    for (let seq = 1; seq <= 200; seq += 5) {
      await log.append(events(seq, seq + 4, 500), null)
      await log.tidy()
    }
    expect(log.bytes).toBeLessThanOrEqual((32 << 10) + 8192)
    expect(segmentsOf(folder).reduce((sum, file) => sum + statSync(file).size, 0)).toBe(log.bytes)
    const found = await readAll(log)
    const lost = log.ledger.gaps.reduce((sum, { missing }) => sum + missing, 0)
    expect(lost).toBe(200 - found.length)
    expect(log.ledger.gaps.map(({ camera, from }) => [camera, from])).toEqual([
      ['a', 1],
      ['b', 2],
    ])
    await log.close()
    const again = await open(folder, { maxBytes: 32 << 10 })
    expect(again.ledger.lost).toBe(lost)
    expect(again.lastSeq).toBe(200)
    await again.close()
  })

  it('ages by running time and by a clock that is set, never by one that is not', async () => {
    const folder = temporaryFolder()
    let now: WriteTime = { boot: 'one', monoMs: 0, wallMs: 0, isClockSynced: false }
    const log = await open(folder, { maxAgeMs: 1000, segmentBytes: 1 << 10, writeTime: () => now })
    const step = async (from: number, change: Partial<WriteTime>): Promise<number> => {
      now = { ...now, ...change }
      await log.append(events(from, from + 9, 500), null)
      await log.tidy()
      return log.ledger.lost
    }
    for (let from = 1; from <= 21; from += 10) expect(await step(from, { monoMs: 10 })).toBe(0)
    // From 1970 to now, and back, with a clock that is not set.
    expect(await step(31, { wallMs: 1.7e12 })).toBe(0)
    expect(await step(41, { wallMs: 5e12, isClockSynced: true })).toBe(0)
    expect(await step(51, { monoMs: 1500 })).toBeGreaterThanOrEqual(20)
    await log.close()
  })

  it('does not touch the files of a later version', async () => {
    const folder = temporaryFolder()
    const log = await open(folder)
    await log.append(events(1, 3), null)
    await log.close()
    const later = join(folder, '0000000009.log')
    writeFileSync(later, encodeHead(2))
    await expect(open(folder)).rejects.toMatchObject({
      code: 'OUTBOX_NEWER',
      message: expect.stringContaining('format 2'),
    })
    const outbox = await diskOutbox({ folder })
    expect(outbox.stats()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('format 2') })
    add(outbox, 'a', true)
    expect(outbox.takeLive()).toMatchObject({ seq: 1 })
    await outbox.close()
    expect(readFileSync(later)).toEqual(encodeHead(2))
  })

  it('continues the numbers when all events are done and their files are removed', async () => {
    const folder = temporaryFolder()
    for (let start = 0; start < 3; start++) {
      const outbox = await diskOutbox({ folder, maxBytes: 256 << 10 })
      for (let i = 0; i < 1000; i++) add(outbox)
      await settled(outbox)
      const all = await takeAll(outbox)
      expect(numbers(all)).toEqual(Array.from({ length: 1000 }, (_, i) => start * 1000 + i + 1))
      for (const entry of all) outbox.confirm(entry)
      await outbox.close()
    }
    expect(segmentsOf(folder).length).toBeLessThan(10)
  })
})
