/** The self-test on bytes: every target passes it, and one wrong byte of any step fails it. */
import { expect, it } from 'vitest'
import { loadAddon, type Addon } from '../../src/addon.js'
import { bytesFor } from '../../src/engine/bytes.js'
import { integerTest } from '../../src/engine/integer-test.js'
import { quantizedSteps } from '../../src/model/quantized-steps.js'

const loaded = loadAddon()
if (!('addon' in loaded)) throw new Error(loaded.reason)
const { addon } = loaded
const targets = addon.describeTargets().filter(({ supported }) => supported)

it.each(targets.map(({ name }) => name))(
  '%s computes every kind of integer step as the scalar target',
  async (target) => {
    expect(await integerTest(addon, target, bytesFor(target, true)!)).toBeNull()
    const seen: string[] = []
    const watched = {
      ...addon,
      openSession: async (...args: Parameters<Addon['openSession']>) => {
        const session = await addon.openSession(...args)
        seen.push(...session.steps.map(({ kind }) => kind))
        return session
      },
    }
    await integerTest(watched, target, 'uint8')
    expect(new Set(seen)).toEqual(new Set(Object.keys(quantizedSteps)))
  },
)

it('each result spreads over its range, so that a wrong byte shows, and one wrong byte is reported', async () => {
  const names = new Set<string>()
  let wrong = ''
  const watched = {
    ...addon,
    openSession: async (...args: Parameters<Addon['openSession']>) => {
      const session = await addon.openSession(...args)
      const isTested = args[1]?.target !== 'scalar'
      return {
        ...session,
        inputs: session.inputs,
        outputs: session.outputs,
        close: () => session.close(),
        async run() {
          await session.run()
          for (const { name, data } of session.outputs) {
            expect(new Set(data as Uint8Array).size, name).toBeGreaterThan(Math.min(8, data.length / 2))
            names.add(name)
            if (isTested && name === wrong) (data as Uint8Array)[data.length - 1]! ^= 1
          }
        },
      }
    },
  } as Addon
  const { name: target } = targets[0]!
  expect(await integerTest(watched, target, 'uint8')).toBeNull()
  for (wrong of [...names].filter((name) => name !== 'dequantize'))
    expect(await integerTest(watched, target, 'uint8')).toMatch(`its self-test of ${wrong} on bytes gives`)
  expect(names.size).toBeGreaterThanOrEqual(Object.keys(quantizedSteps).length)
})
