/** A zone that was read is written so that it is read as the same zone. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { writtenZone } from '../../src/config/written.js'
import { zone } from '../../src/config/zones.js'

const time = fc.tuple(fc.integer({ min: 10, max: 80 }), fc.constantFrom('s', 'm')).map(([n, unit]) => `${n}${unit}`)
const trigger = fc.oneof(
  fc.constantFrom('always' as const, 'motion' as const, 'command' as const),
  fc.record({ every: time }),
  fc.record({ motion: fc.record({ maxIdle: time }) }),
  fc.constant({ gpio: 'gpiochip0/17' }),
  fc.constant({ cron: '*/5 * * * *' }),
)
const side = fc.integer({ min: 2, max: 50 }).map((n) => n / 100)
const region = fc.oneof(
  fc.record({ x: side, y: side, w: side, h: side }),
  fc.constant([
    [0.1, 0.1],
    [0.9, 0.2],
    [0.5, 0.8],
  ]),
)

it('for every zone', () => {
  const input = fc.record(
    {
      id: fc.constant('gate'),
      name: fc.constant('Garden gate'),
      region,
      trigger,
      model: fc.constant('a.onnx'),
      policy: fc.record({ threshold: fc.constant(0.7) }),
      dwell: fc.dictionary(fc.constantFrom('open', 'closed'), time),
      mask: fc.constantFrom('mean', 'none'),
    },
    { requiredKeys: ['id'] },
  )
  fc.assert(
    fc.property(input, (given) => {
      const read = zone.parse(given)
      expect(zone.parse(JSON.parse(JSON.stringify(writtenZone(read))))).toEqual(read)
    }),
    { numRuns: 200 },
  )
})
