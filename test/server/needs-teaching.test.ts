/** A zone that no longer sees what it was taught says so in the state that the page shows. */
import { expect, it } from 'vitest'
import { zoneStates } from '../../src/server/zones.js'

const running = (key: string): object => ({
  key,
  definition: { shape: null },
  view: {},
  classifier: null,
  decision: { label: 'open', score: 0.9, sinceMs: 0, top: [] },
  frames: 3,
  looks: new Map(),
  skipped: 0,
})

it('tells why a zone needs teaching, and nothing of one that does not', () => {
  const live = {
    zones: [running('yard/gate'), running('yard/bin')],
    settings: {
      cameras: [{ id: 'yard', zones: [{ id: 'gate' }, { id: 'bin' }] }],
      zone: () => ({ policy: { threshold: 0.5 }, isSwitchedOn: true }),
    },
    teaching: { drifted: (zone: string) => (zone === 'yard/gate' ? '80 % of its pictures are unlike' : null) },
  }
  const states = zoneStates(live as never, 'yard')
  expect(states.map(({ id, needsTeaching }) => [id, needsTeaching])).toEqual([
    ['gate', '80 % of its pictures are unlike'],
    ['bin', null],
  ])
})
