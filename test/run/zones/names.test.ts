/** How commands name zones, and what is said where a name means nothing or too much. */
import { describe, expect, it } from 'vitest'
import { keyNamed, placeOf } from '../../../src/run/zones/names.js'

const named = { cameras: ['yard', 'door'], zones: ['door', 'door/bell', 'yard/bin', 'yard/gate', 'door/gate'] }

describe('a command names', () => {
  it.each([
    [{ camera: 'yard', zone: 'gate' }, 'yard/gate'],
    [{ zone: 'yard/gate' }, 'yard/gate'],
    [{ camera: 'yard/gate' }, 'yard/gate'],
    [{ zone: 'bin' }, 'yard/bin'],
    [{ camera: 'bin' }, 'yard/bin'],
    [{ camera: 'door' }, 'door'],
  ])('%j', (given, key) => {
    expect(keyNamed(given, named, false)).toEqual({ key })
  })

  it('a camera without a question of its own only where the command is about cameras', () => {
    expect(keyNamed({ camera: 'yard' }, named, true)).toEqual({ key: 'yard' })
    expect(keyNamed({ camera: 'yard' }, named, false)).toEqual({
      fault: 'zone: camera yard has no question of its own; name one of yard/bin, yard/gate',
    })
  })

  it('nothing where there is only one thing to mean', () => {
    expect(keyNamed({}, { cameras: ['a'], zones: ['a'] }, false)).toEqual({ key: 'a' })
    expect(keyNamed({}, { cameras: ['a'], zones: ['a/x', 'a/y'] }, true)).toEqual({ key: 'a' })
    expect(keyNamed({}, { cameras: ['a'], zones: ['a/x', 'a/y'] }, false)).toEqual({
      fault: 'camera: one of a/x, a/y is needed',
    })
  })
})

it.each([
  [{ zone: 'gate' }, 'zone: gate is one of yard/gate, door/gate; name the camera too'],
  [{ zone: 'roof' }, 'zone: roof is none of door, door/bell, yard/bin, yard/gate, door/gate'],
  [{ camera: 'yard', zone: 'bell' }, 'zone: bell is none of camera yard; it has yard/bin, yard/gate'],
  [{ camera: 'yard', zone: 'door/bell' }, 'zone: door/bell is none of camera yard; it has yard/bin, yard/gate'],
  [{ camera: 'roof', zone: 'gate' }, 'zone: gate is none of camera roof'],
])('%j is explained', (given, fault) => {
  expect(keyNamed(given, named, false)).toEqual({ fault })
})

it('an answer names the camera and the zone', () => {
  expect(placeOf('yard')).toEqual({ camera: 'yard' })
  expect(placeOf('yard/gate')).toEqual({ camera: 'yard', zone: 'gate' })
})
