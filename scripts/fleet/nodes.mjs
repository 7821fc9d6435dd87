// Virtual nodes: the real publisher, outbox policy, requests and announcement, over a camera that is only a label.
import { randomUUID } from 'node:crypto'
import { announce, birthJitterMs, birthSubscription, createBirthListener } from '../../dist/publish/announcement.js'
import { createMemoryOutbox } from '../../dist/publish/outbox/queue.js'
import { bundlePayload } from '../../dist/publish/payloads.js'
import { openPublishedTopics } from '../../dist/publish/published.js'
import { createPublisher } from '../../dist/publish/publisher.js'
import { createRequests, requestSubscriptions } from '../../dist/publish/requests.js'
import { createTopics } from '../../dist/publish/topics.js'
import { quietLog, systemClock } from '../faults/parts.mjs'

/** Of all nodes: when something was said again, and which answers were given. */
export const seen = { repeatsMs: [] }

const bare = { bare: 'name' }
const commands = { info: bare, model_install: bare, model_confirm: bare, model_rollback: bare }

/** What a node says before anything else. */
async function firstOf(id, topics, version) {
  const facts = {
    ...{ node: id, cameras: ['cam0'], version, labels: ['open', 'closed'], hasHeat: false, board: 'virtual' },
    health: { hasTemperature: false, hasUndervoltage: false, hasThrottling: false },
  }
  const published = openPublishedTopics(null, quietLog)
  const model = { id: 'virtual', version: '1' }
  return announce({ facts, model, topics, prefix: 'homeassistant', retainsImages: false, published })
}

/** A bundle that does not serve well is noticed after this time. */
const noticedMs = 2000

/**
 * Takes commands as a node does. A bundle is installed at once, from nowhere: the digest stands for its version. The node goes
 * back by itself from the one with the digest `bad`.
 */
function requestsOf({ id, topics, groups, bad, publisher }) {
  const bundle = {
    name: 'gate',
    installed: null,
    candidate: null,
    before: null,
    state: 'none',
    fault: null,
    others: {},
  }
  const say = () => publisher().keep({ ...topics.node('bundle'), payload: bundlePayload(bundle) })
  const install = (name, digest) => {
    const installed = { version: digest.slice(0, 8), digest }
    Object.assign(bundle, { name, installed, before: bundle.installed, state: 'probation', fault: null })
  }
  const goBack = (fault = null) => {
    const { before } = bundle
    Object.assign(bundle, { installed: before, before: null, state: before ? 'settled' : 'none', fault })
  }
  const notice = () => {
    goBack('it does not serve well')
    say()
  }
  const requests = createRequests({
    ...{ topics, groups, commands, cameras: ['cam0'], log: quietLog, clock: systemClock },
    send: (message) => publisher().sendNow(message),
    execute({ kind, name, digest }) {
      if (kind === 'model_install') install(name, digest)
      if (kind === 'model_install' && digest === bad) setTimeout(notice, noticedMs)
      if (kind === 'model_confirm') bundle.state = 'settled'
      if (kind === 'model_rollback') goBack()
      if (kind !== 'info') say()
      return Promise.resolve({ status: 'ok', data: kind === 'info' ? { node: id } : bundle })
    },
  })
  return { say, handle: (message) => requests.handle(message) }
}

/** A node that is not connected yet. `groups`: see the configuration; `bad`: the digest of a bundle that does not serve well. */
export async function virtualNode({ id, groups, url, birthJitterS, bad = null, version = '0.1.0' }) {
  const topics = createTopics('gapcam', id)
  let publisher = null
  const repeat = () => {
    seen.repeatsMs.push(performance.now())
    publisher.repeat()
  }
  const birth = createBirthListener('homeassistant', repeat, () => birthJitterMs(birthJitterS))
  const requests = requestsOf({ id, topics, groups, bad, publisher: () => publisher })
  publisher = createPublisher({
    broker: { url, keepaliveSeconds: 60 },
    ...{ node: id, cameras: ['cam0'], log: quietLog, stateEveryMs: 0 },
    first: await firstOf(id, topics, version),
    outbox: createMemoryOutbox({
      ...{ boot: randomUUID(), ack: 'application', resendMs: 5000, clock: systemClock, log: quietLog },
    }),
    subscriptions: [...requestSubscriptions(topics, ['cam0'], groups), birthSubscription('homeassistant')],
    onMessage(message) {
      birth.handle(message)
      requests.handle(message)
    },
  })
  publisher.info({ version, node: id, groups, cameras: ['cam0'], model: { id: 'virtual' } })
  requests.say()
  let events = 0
  return {
    id,
    publisher,
    /** The door opens or closes: the label changes, and there is an event. */
    change() {
      events++
      const label = events % 2 ? 'open' : 'closed'
      const top = [{ index: 0, label, score: 0.97 }]
      const decision = { label, index: 0, score: 0.97, prev: 'unknown', sinceMs: systemClock.now(), top }
      publisher.settled('cam0', decision, null)
      publisher.event('cam0', 'label_changed', decision, null)
    },
  }
}
