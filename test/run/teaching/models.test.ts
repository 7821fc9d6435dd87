/** Frames and a fit on one engine: both take turns, so frames go on while a head is fitted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/config.js'
import { openTaughtModels } from '../../../src/run/teaching/models.js'
import { Turns } from '../../../src/run/zones/turns.js'
import { openTaughtHead } from '../../../src/teach/taught-head.js'
import { projectRoot } from '../../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-turns-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const picture = (level: number): Promise<Buffer> =>
  sharp({ create: { width: 24, height: 24, channels: 3, background: { r: level, g: 90, b: 60 } } })
    .png()
    .toBuffer()

it('a zone gets its turn between any two looks of a fit, and while the regression is solved', async () => {
  const values = { model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1, inputSize: '32' }
  const { config } = loadConfig({ flags: {}, environment: {}, values })
  const taught = openTaughtModels(config, '', folder)
  const turns = new Turns()
  const order: string[] = []
  taught.useTurns({
    take: (work, wish) =>
      turns.take(() => {
        order.push('look')
        return work()
      }, wish),
  })
  const lease = await taught.teacher()
  const { fit } = lease.teacher
  const teacher: typeof lease.teacher = {
    ...lease.teacher,
    async fit(...lesson) {
      const done = await fit(...lesson)
      order.push('fitted')
      return done
    },
  }
  const head = await openTaughtHead(folder, 'gate')
  for (let i = 0; i < 3; i++)
    for (const [state, level] of [
      ['low', 20 + i],
      ['high', 220 + i],
    ] as const)
      await head.add(state, await picture(level), null)
  let isFitting = true
  const zone = async (): Promise<void> => {
    for (let lastMs = 0; isFitting; lastMs = performance.now()) {
      // A frame ends off the main thread.
      await turns.take(
        () => {
          order.push('frame')
          return new Promise((resolve) => setImmediate(resolve))
        },
        { lastMs, untilMs: Infinity },
      )
    }
  }
  const frames = zone()
  const lesson = await head.fit(teacher)
  isFitting = false
  await frames
  await lease.release()
  await taught.close()

  expect(lesson.states).toEqual(['low', 'high'])
  const looks = order.flatMap((each, i) => (each === 'look' ? [i] : []))
  // Three looks at each of six pictures, and one at each part of the ordinary pictures.
  expect(looks.length).toBeGreaterThan(18)
  const withoutFrame = looks.filter((at, i) => i > 0 && !order.slice(looks[i - 1], at).includes('frame'))
  expect(withoutFrame).toEqual([])
  expect(order.slice(looks.at(-1)! + 1, order.indexOf('fitted'))).toContain('frame')
  expect(order.slice(order.indexOf('fitted'))).toContain('frame')
})
