import { afterEach, describe } from 'vitest'
import { endAll } from '../process.js'
import { itHolds } from './campaign.js'
import { hasMosquitto } from './mosquitto.js'

afterEach(endAll)

describe.skipIf(!hasMosquitto)(
  'faults of brokers and links, by ledger (skipped where mosquitto is not installed)',
  () => {
    itHolds(
      'a broker is killed 20 times at 300 events a second: with application acknowledgements nothing is lost',
      'broker-application',
      { lost: 0, kills: 20 },
    )
    itHolds('the same with PUBACK: nothing is lost that the broker had not acknowledged', 'broker-puback', {
      lostUnacknowledged: 0,
      kills: 20,
    })
    itHolds('a half-open link is noticed by the keepalive, and nothing is lost', 'network-halfOpen', { lost: 0 })
    itHolds('a kilobyte a second: the link holds, events get through, the rest waits', 'network-slow', {
      lost: 0,
      reconnects: 0,
    })
    itHolds('600 ms of round trip', 'network-latency', { lost: 0, reconnects: 0 })
    itHolds('resets while events flow', 'network-resets', { lost: 0 })
    itHolds('three bytes at a time', 'network-slicing', { lost: 0, reconnects: 0 })
  },
)
