/** Work behind a switch: off and on in any order, and never twice at once. */
import { expect, it } from 'vitest'
import { whileOn } from '../../../src/run/cameras/switch.js'

function bench() {
  const listeners = new Set<() => void>()
  const ending = new AbortController()
  const log: string[] = []
  const bench = {
    log,
    ending,
    isOn: true,
    atWork: 0,
    mostAtWork: 0,
    stopMs: 0,
    move(isOn: boolean) {
      bench.isOn = isOn
      for (const listener of [...listeners]) listener()
    },
    listeners: () => listeners.size,
    run: () =>
      whileOn(
        {
          isOn: () => bench.isOn,
          onMove: (listener) => {
            listeners.add(listener)
            return () => void listeners.delete(listener)
          },
          onOff: () => log.push('off'),
          onOn: () => log.push('on'),
          work: async (signal, hasRun) => {
            log.push(hasRun ? 'work again' : 'work')
            bench.mostAtWork = Math.max(bench.mostAtWork, ++bench.atWork)
            await new Promise<void>((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, 5)))
            bench.atWork--
          },
        },
        ending.signal,
      ),
  }
  return bench
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

it('stops and starts with the switch, and ends with the signal', async () => {
  const it = bench()
  const done = it.run()
  it.move(false)
  await settle()
  it.move(false)
  it.move(true)
  await settle()
  it.ending.abort()
  await done
  expect(it.log).toEqual(['work', 'off', 'on', 'work again'])
  expect(it.listeners()).toBe(0)
})

it('waits from the start where the switch is off', async () => {
  const it = bench()
  it.isOn = false
  const done = it.run()
  await settle()
  expect(it.log).toEqual(['off'])
  it.ending.abort()
  await done
})

it('quick switching never runs the work twice at once', async () => {
  const it = bench()
  const done = it.run()
  for (let i = 0; i < 50; i++) it.move(i % 2 === 1)
  await settle()
  expect(it.log.slice(0, 4)).toEqual(['work', 'off', 'on', 'work again'])
  it.ending.abort()
  await done
  expect([it.mostAtWork, it.atWork]).toEqual([1, 0])
})

it('work that ends by itself ends the switch', async () => {
  await whileOn(
    {
      isOn: () => true,
      onMove: () => () => undefined,
      onOff: () => undefined,
      onOn: () => undefined,
      work: async () => undefined,
    },
    new AbortController().signal,
  )
  await expect(
    whileOn(
      {
        isOn: () => true,
        onMove: () => () => undefined,
        onOff: () => undefined,
        onOn: () => undefined,
        work: () => Promise.reject(new Error('lost')),
      },
      new AbortController().signal,
    ),
  ).rejects.toThrow('lost')
})
