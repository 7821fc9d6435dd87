import { afterEach, describe } from 'vitest'
import { endAll } from '../../process.js'
import { itHolds } from '../campaign.js'
import { hasMosquitto } from '../mosquitto.js'

afterEach(endAll)

describe('faults of the disk and of the process', () => {
  itHolds('after 50 kills every confirmed event is there, and no number is given twice', 'kill', {
    lost: 0,
    reused: 0,
    corrupted: 0,
  })
  itHolds('a power cut at each call of a model disk leaves every confirmed event there and whole', 'power', {
    lost: 0,
    corrupted: 0,
  })
  itHolds('a fault of each call of a model disk leaves every event to arrive once', 'calls', {
    lost: 0,
    duplicates: 0,
  })
})

describe.skipIf(!hasMosquitto)(
  'a long time without a broker, and clocks that jump (skipped where mosquitto is not installed)',
  () => {
    itHolds('18,000 events without a broker all arrive later, in order, and memory does not grow', 'offline', {
      lost: 0,
      isInOrder: true,
      dropped: 0,
    })
    itHolds('jumps of the wall clock by an hour, a day and from 1970 break and lose nothing', 'clock', {
      lost: 0,
      reconnects: 0,
    })
  },
)
