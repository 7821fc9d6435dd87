/** One frame for several zones is released once, by the last of them. */
import { expect, it } from 'vitest'
import { frameOf, type Frame } from '../../src/frame.js'
import { sharedFrame } from '../../src/zone/shared-frame.js'

function counted(): { frame: Frame; releases: () => number } {
  let releases = 0
  const frame = {
    ...frameOf({ data: new Uint8Array(12), width: 2, height: 2 }),
    release: () => void releases++,
  }
  return { frame, releases: () => releases }
}

it('one reader gets the frame itself', () => {
  const { frame } = counted()
  expect(sharedFrame(frame, 1)).toBe(frame)
})

it('the last of three readers releases the frame, and their pixels are the same', () => {
  const { frame, releases } = counted()
  const shared = sharedFrame(frame, 3)
  expect(shared.pixels).toBe(frame.pixels)
  shared.release()
  shared.release()
  expect(releases()).toBe(0)
  shared.release()
  expect(releases()).toBe(1)
})
