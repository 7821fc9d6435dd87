import { afterEach, describe } from 'vitest'
import { endAll } from '../process.js'
import { itHolds } from './campaign.js'
import { hasMosquitto } from './mosquitto.js'

afterEach(endAll)

describe.skipIf(!hasMosquitto)('faults of brokers and links (skipped where mosquitto is not installed)', () => {
  itHolds(
    'a broker is killed 20 times at 300 events a second: with application acknowledgements nothing is lost',
    'broker-application',
    { lost: 0, kills: 20 },
  )
  itHolds(
    'the broker is killed 20 times, with PUBACK: events that it had not acknowledged are not lost',
    'broker-puback',
    {
      lostUnacknowledged: 0,
      kills: 20,
    },
  )
  itHolds('the keepalive notices a half-open link, and nothing is lost', 'network-halfOpen', { lost: 0 })
  itHolds('a link of a kilobyte a second is kept: some events arrive, the others wait', 'network-slow', {
    lost: 0,
    reconnects: 0,
  })
  itHolds('a round trip of 600 ms breaks and loses nothing', 'network-latency', { lost: 0, reconnects: 0 })
  itHolds('resets of the link lose nothing', 'network-resets', { lost: 0 })
  itHolds('packets of three bytes break and lose nothing', 'network-slicing', { lost: 0, reconnects: 0 })
})
