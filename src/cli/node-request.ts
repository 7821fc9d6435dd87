/** Sends one command to a running node over its broker, and waits for the answer. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { createTopics } from '../publish/topics.js'
import { visitBroker } from '../publish/visit.js'
import { otherConnection } from '../run/connection.js'

const answerMs = 20_000

/**
 * Resolves with the answer. Rejects with BROKER_* where there is no broker, and with USAGE where the node refuses or does not
 * answer.
 */
export async function askNode(
  config: Config,
  kind: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const topics = createTopics(config.mqtt.base, config.node)
  const response = `${topics.node('response').topic}/${kind}`
  const transaction = `${kind}-${process.pid}-${Date.now()}`
  const answered = new AbortController()
  let answer: Readonly<Record<string, unknown>> | null = null
  const connection = await visitBroker({
    connect: otherConnection(config),
    clientId: `gapcam-${kind}-${process.pid}`,
    onMessage({ payload }) {
      const told = parsed(payload)
      if (told?.['transaction'] !== transaction) return
      answer = told
      answered.abort()
    },
    signal: AbortSignal.timeout(answerMs),
  })
  try {
    await connection.subscribe([{ filter: response, qos: 1 }])
    const topic = `${topics.node('request').topic}/${kind}`
    await connection.publish({ topic, payload: JSON.stringify({ ...fields, transaction }), qos: 1, isRetained: false })
    await wait(answerMs, undefined, { signal: answered.signal }).catch(() => undefined)
  } finally {
    await connection.close(1000)
  }
  return checked(answer, config.node)
}

function checked(answer: Readonly<Record<string, unknown>> | null, node: string): Readonly<Record<string, unknown>> {
  if (answer === null)
    throw new GapcamError('USAGE', `node ${node} does not answer: it is not running, or uses another broker`, {
      hint: 'Start it with gapcam run, or leave --zone out.',
    })
  if (answer['status'] === 'ok') return (answer['data'] ?? {}) as Readonly<Record<string, unknown>>
  throw new GapcamError('USAGE', `node ${node} refuses: ${String(answer['error'])}`)
}

function parsed(payload: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(payload.toString()) as Readonly<Record<string, unknown>>
  } catch {
    return null
  }
}
