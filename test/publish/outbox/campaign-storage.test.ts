import { afterEach, describe } from 'vitest'
import { endAll } from '../../process.js'
import { itHolds } from '../campaign.js'
import { hasMosquitto } from '../mosquitto.js'

afterEach(endAll)

describe('faults of the disk and of the process, by ledger', () => {
  itHolds('killed 50 times: what was confirmed is there, and no number comes again', 'kill', {
    lost: 0,
    reused: 0,
    corrupted: 0,
  })
  itHolds('the power is cut at each call (a disk of our own): what was confirmed is there and whole', 'power', {
    lost: 0,
    corrupted: 0,
  })
  itHolds('each call fails, in part or whole (a disk of our own): every event arrives once', 'calls', {
    lost: 0,
    duplicates: 0,
  })
})

describe.skipIf(!hasMosquitto)(
  'long without a broker, and clocks that jump (skipped where mosquitto is not installed)',
  () => {
    itHolds('18,000 events offline: all arrive, in order, and memory does not grow', 'offline', {
      lost: 0,
      isInOrder: true,
      dropped: 0,
    })
    itHolds('the wall clock jumps by an hour, a day and from 1970: no break, nothing lost', 'clock', {
      lost: 0,
      reconnects: 0,
    })
  },
)
