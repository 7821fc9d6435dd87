/** A node that cannot keep up says what it can keep up with. */
import { expect, it } from 'vitest'
import { watchOverload } from '../../../src/run/zones/overload.js'

it('it is told once a minute, with the looks that each zone gets', () => {
  const told: string[] = []
  const zones = Array.from({ length: 100 }, () => ({ frames: 0, skipped: 0 }))
  const tick = watchOverload(zones, { warn: (_: object, text?: string) => told.push(text ?? '') } as never)
  for (let second = 0; second <= 130; second++) {
    for (const zone of zones) zone.skipped += second > 60 ? 1 : 0
    zones[second % 100]!.frames += 20
    tick(second * 1000)
  }
  expect(told).toHaveLength(1)
  expect(told[0]).toMatch(
    /cannot keep up with 100 zones: 6000 looks were skipped.* 20\.0 looks a second, 0\.20 for each/,
  )
})
