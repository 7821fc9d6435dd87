import { expect, it } from 'vitest'
import { nearestDistance, nearestDistances, noveltyLimits } from '../../src/teach/novelty.js'

const unit = (degrees: number): Float32Array =>
  Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180))
const distance = (degrees: number): number => 1 - Math.cos((degrees * Math.PI) / 180)

const productsIn = (rows: readonly Float32Array[], columns: readonly Float32Array[]): Float32Array =>
  Float32Array.from(rows.flatMap(([x = 0, y = 0]) => columns.map(([u = 0, v = 0]) => x * u + y * v)))
const distances = (rows: readonly Float32Array[], columns: readonly Float32Array[]): readonly number[] =>
  nearestDistances(productsIn(rows, columns), columns.length)

it('the distance is that of the nearest vector that is not skipped', () => {
  const others = [unit(10), unit(40)]
  expect(nearestDistance(unit(0), others)).toBeCloseTo(distance(10), 6)
  const products = productsIn([unit(0)], others)
  expect(nearestDistances(products, 2)[0]).toBeCloseTo(distance(10), 6)
  expect(nearestDistances(products, 2, (_, i) => i === 0)[0]).toBeCloseTo(distance(40), 6)
})

it('the limit lies between the taught pictures and ordinary ones, and below pictures that must be novel', () => {
  const taught = [unit(0), unit(1), unit(20), unit(21)]
  const pictures = [0, 0, 1, 1]
  const sights = [[100, 40, 8] as const, [120, 50, 10] as const]
  const ordinary = [unit(90), unit(100)]
  const inner = nearestDistances(productsIn(taught, taught), 4, (i, j) => pictures[i] === pictures[j])
  const outer = distances(ordinary, taught)
  const limits = noveltyLimits({ taught: inner, ordinary: outer, none: [] }, sights)
  // A picture is no neighbour of itself: 0 and 20 degrees are 19 apart from the other picture.
  const inside = distance(20)
  expect(limits.distance).toBeCloseTo(inside + 0.1 * (distance(69) - inside), 5)
  const none = distances([unit(25)], taught)
  expect(noveltyLimits({ taught: inner, ordinary: outer, none }, sights).distance).toBeCloseTo(distance(4), 5)
})

it('brightness, contrast and sharpness may leave the taught range by a factor of two', () => {
  const { sight } = noveltyLimits({ taught: [0.1], ordinary: [1], none: [] }, [
    [100, 40, 8],
    [120, 50, 10],
  ])
  expect(sight).toEqual([
    [48, 244],
    [19, 102],
    [3.75, 20.5],
  ])
})
