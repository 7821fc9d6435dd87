/** Parts open in order, close in reverse, and a part that fails leaves none of the others open. */
import { expect, it } from 'vitest'
import { openParts, rowsOf, type PartRow } from '../../src/run/parts.js'

interface Parts {
  readonly one: number
  readonly two: number
  readonly three: number
}
const part = rowsOf<Parts>()
const log = { debug: () => undefined } as unknown as Parameters<typeof openParts>[1]

/** Rows that write down what happens; `broken` names rows whose opening or closing fails. */
function rows(calls: string[], broken: readonly string[] = []): PartRow<Parts>[] {
  const happen = <T>(what: string, value: T): T => {
    calls.push(what)
    if (broken.includes(what)) throw new Error(`${what} failed`)
    return value
  }
  return [
    part({ opens: 'one', needs: [], open: () => happen('open one', 1), close: () => happen('close one', undefined) }),
    part({
      opens: 'two',
      needs: ['one'],
      open: async ({ one }) => happen('open two', one + 1),
      close: (two) => happen(`close two`, void two),
    }),
    part({
      opens: 'three',
      needs: ['one', 'two'],
      open: ({ one, two }) => happen('open three', one + two),
      close: async () => happen('close three', undefined),
    }),
  ]
}

it('opens each part with those it needs, and closes them in reverse', async () => {
  const calls: string[] = []
  const { parts, close } = await openParts(rows(calls), log)
  expect(parts).toEqual({ one: 1, two: 2, three: 3 })
  await close()
  expect(calls).toEqual(['open one', 'open two', 'open three', 'close three', 'close two', 'close one'])
  await close()
  expect(calls).toHaveLength(6)
})

it('a part in the middle that fails closes those before it, and its failure is thrown', async () => {
  const calls: string[] = []
  await expect(openParts(rows(calls, ['open two', 'close one']), log)).rejects.toThrow('open two failed')
  expect(calls).toEqual(['open one', 'open two', 'close one'])
})

it('a part that fails to close keeps no other one open', async () => {
  const calls: string[] = []
  const { close } = await openParts(rows(calls, ['close three', 'close two']), log)
  await expect(close()).rejects.toThrow('close three failed')
  expect(calls.slice(3)).toEqual(['close three', 'close two', 'close one'])
})

it('a part that is needed before it is opened throws TypeError', async () => {
  const calls: string[] = []
  const [one, two, three] = rows(calls)
  await expect(openParts([one!, three!, two!], log)).rejects.toThrow(
    new TypeError('Expected two to be opened before three'),
  )
  expect(calls).toEqual(['open one', 'close one'])
})
