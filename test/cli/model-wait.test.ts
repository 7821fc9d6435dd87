/** `gapcam model wait`: what updaters learn of a bundle on probation. */
import { describe, expect, it } from 'vitest'
import { confirmed, installed, rolledBack, started, type Entry } from '../../src/bundle/phases.js'
import { waitOnProbation } from '../../src/cli/model-wait.js'

const slot = (version: string) => ({ version, digest: version.repeat(20), model: 'm.onnx', installedAt: '' })
const install = (before: Entry | undefined, version: string): Entry =>
  installed(before, { name: 'gate', slot: slot(version), isShadow: false, isBuiltIn: false })
const first = confirmed(install(undefined, 'a'), 'gate')
const second = install(first, 'b')
const start = (entry: Entry): Entry => started(entry, 'gate', false)

/** Waits 10 s of a clock of its own; `at` says what happens in which second. */
async function wait(at: Readonly<Record<number, (entry: Entry) => Entry>>, startSeconds = 5): Promise<string> {
  let [entry, nowMs] = [second, 0]
  try {
    await waitOnProbation({
      ...{
        name: 'gate',
        digest: slot('b').digest,
        seconds: 8,
        startSeconds,
        entry: () => entry,
        clock: { now: () => nowMs, wall: () => 0 },
      },
      pause(ms) {
        const before = Math.floor(nowMs / 1000)
        nowMs += ms
        const after = Math.floor(nowMs / 1000)
        if (after > before) entry = at[after]?.(entry) ?? entry
        return Promise.resolve()
      },
    })
    return `well after ${nowMs / 1000} s`
  } catch (error) {
    return (error as Error).message
  }
}

describe('a bundle on probation', () => {
  it('serves well where a node starts with it once', async () => {
    expect(await wait({ 2: start })).toBe('well after 10 s')
  })

  it('needs no more waiting when it is confirmed', async () => {
    expect(await wait({ 2: start, 4: (entry) => confirmed(entry, 'gate') })).toBe('well after 4 s')
  })

  it('does not where no node starts', async () => {
    expect(await wait({})).toMatch(/^no node has started with gate b{12} in 5 s/)
    expect(await wait({}, 0)).toMatch(/^no node has started/)
  })

  it('does not where its node had to start again', async () => {
    expect(await wait({ 2: start, 5: start })).toBe('gate bbbbbbbbbbbb had to start 2 times')
  })

  it('does not as soon as another one serves, and the reason is told', async () => {
    expect(await wait({ 1: start, 2: start, 3: start, 4: start })).toBe(
      'gate bbbbbbbbbbbb does not serve any more: 3 starts in a row ended by a fault',
    )
    expect(await wait({ 3: (entry) => rolledBack(entry, 'gate', false, null) })).toBe(
      'gate bbbbbbbbbbbb does not serve any more',
    )
  })
})
