/** Webhook and InfluxDB against real HTTP servers: outages, redirects, hangs, refusals, signatures. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { startHttpOutput } from '../../src/outputs/http.js'
import { influxRequest, lineOf, pointOf } from '../../src/outputs/influx.js'
import { webhookRequest } from '../../src/outputs/webhook.js'
import { openDurableOutbox } from '../../src/publish/outbox/durable.js'
import { endAll, gapcam, launch } from '../process.js'
import { recordingLog } from '../publish/fixture.js'
import { cleanUp, temporaryFolder, until } from '../publish/mosquitto.js'
import { photo } from '../bundle/bundles.js'
import { projectRoot } from '../shared.js'

const hasInflux = existsSync('/usr/bin/influxd')

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
  await endAll()
  await cleanUp()
})

interface Got {
  readonly headers: IncomingMessage['headers']
  readonly url: string
  readonly body: string
}

/** A server that answers as `answer` says; null: never. */
async function serve(answer: (got: Got, response: ServerResponse) => number | null) {
  const got: Got[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      const one = { headers: request.headers, url: request.url ?? '', body }
      got.push(one)
      const status = answer(one, response)
      if (status !== null) response.writeHead(status).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { got, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` }
}

/** An output to a server with an outbox on disk; waits are counted instead of waited. */
async function output(url: string, folder = temporaryFolder(), timeoutMs = 5000) {
  const { lines, log } = recordingLog()
  const limits = { maxBytes: 4 << 20, maxAgeMs: 7 * 86_400_000 }
  const outbox = await openDurableOutbox({ folder, ...limits, ack: 'puback', log, clock: systemClock })
  const time = { waitedMs: 0, longestMs: 0 }
  const made = startHttpOutput({
    ...{ name: 'webhook', outbox, timeoutMs, log },
    requestOf: (entry) =>
      webhookRequest(url, entry.kind === 'event' ? entry.payload : 'gap', { id: 'x', secret: 'key', wallMs: 5000 }),
    wait: async (ms) => {
      time.waitedMs += ms
      time.longestMs = Math.max(time.longestMs, ms)
      await new Promise(setImmediate)
    },
  })
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await made.close()
    isOpen = false
  }
  opened.unshift(close)
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) outbox.add('cam0', 'event', false, (seq) => `{"seq":${seq}}`)
  }
  return { made, add, time, lines, close, outbox }
}

const bodies = (got: readonly Got[]): string[] => got.map(({ body }) => body)
const inOrder = (count: number): string[] => Array.from({ length: count }, (_, i) => `{"seq":${i + 1}}`)

describe('a webhook', () => {
  it('that answers 500 for a day gets every event in order afterwards, and the log says it once', async () => {
    const clock = { waitedMs: 0 }
    const taken: string[] = []
    const { url } = await serve(({ body }) => {
      if (clock.waitedMs < 86_400_000) return 500
      taken.push(body)
      return 204
    })
    const { made, add, time, lines } = await output(url)
    Object.defineProperty(clock, 'waitedMs', { get: () => time.waitedMs })
    add(30)
    await until(() => made.delivered === 30, 'thirty deliveries')
    expect(taken).toEqual(inOrder(30))
    expect(time.longestMs).toBeLessThanOrEqual(300_000)
    expect(lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      'webhook: it answers with status 500; events wait on disk until it works',
    ])
    expect(lines.at(-1)?.message).toBe('webhook: events are delivered again')
  })

  it('that redirects is not followed: the events go nowhere else', async () => {
    const other = await serve(() => 200)
    let isRedirecting = true
    const { got, url } = await serve((_, response) => {
      if (!isRedirecting) return 200
      response.writeHead(307, { location: other.url }).end()
      return null
    })
    const { made, add, lines } = await output(url)
    add(2)
    await until(() => got.length > 3, 'some attempts')
    expect(other.got).toEqual([])
    expect(lines[0]?.message).toContain(`it redirects (307) to ${other.url}, which is not followed`)
    isRedirecting = false
    await until(() => made.delivered === 2, 'both')
    expect(other.got).toEqual([])
  })

  it('that hangs is given up after the time for one request, and tried again', async () => {
    let attempts = 0
    const { url } = await serve(() => (++attempts > 2 ? 200 : null))
    const { made, add, lines } = await output(url, undefined, 200)
    add(1)
    await until(() => made.delivered === 1, 'the event')
    expect(attempts).toBe(3)
    expect(lines[0]?.message).toContain('no answer within 200 ms')
  })

  it('that refuses one event gets the next ones; a refusal of the credentials is waited out', async () => {
    let answers = [200, 400, 401, 401, 200]
    const { got, url } = await serve((_, response) => {
      const status = answers.shift() ?? 200
      if (status === 400) response.writeHead(400).end(`bad\nfield\u001b[2J ${'x'.repeat(1000)}`)
      return status === 400 ? null : status
    })
    const { made, add, lines } = await output(url)
    add(4)
    await until(() => made.delivered === 3, 'three events')
    expect(made.refused).toBe(1)
    const wanted = `webhook: an event is refused and lost: it answers with status 400: bad field [2J ${'x'.repeat(186)}`
    expect(lines[0]?.message).toBe(wanted)
    expect(bodies(got)).toEqual([1, 2, 3, 3, 3, 4].map((seq) => `{"seq":${seq}}`))
    answers = []
  })

  it('that is away gets the events of an earlier run of gapcam', async () => {
    const folder = temporaryFolder()
    const first = await output('http://127.0.0.1:1/hook', folder)
    first.add(3)
    await until(() => first.time.waitedMs > 0 && first.outbox.stats().queued === 3, 'the events on disk')
    await first.close()
    const { got, url } = await serve(() => 200)
    const second = await output(url, folder)
    second.add(1)
    await until(() => second.made.delivered === 4, 'all events')
    expect(bodies(got)).toEqual(inOrder(4))
  })

  it('can check that a request is ours', async () => {
    const { got, url } = await serve(() => 200)
    const { made, add } = await output(url)
    add(1)
    await until(() => made.delivered === 1, 'the event')
    const { headers, body } = got[0]!
    expect(headers['x-gapcam-timestamp']).toBe('5')
    const wanted = createHmac('sha256', 'key').update(`5.${body}`).digest('hex')
    expect(headers['x-gapcam-signature']).toBe(`sha256=${wanted}`)
  })
})

describe('InfluxDB', () => {
  const event = {
    ...{ node: 'dock1', place: 'yard/gate', event_type: 'label_changed', boot: 'b', seq: 7 },
    ts: '2026-01-05T10:22:33.412Z',
  }

  /** Measurement, tags, fields and time of one line, by the rules of the line protocol. */
  function parse(line: string) {
    const cut = (text: string, at: string): string[] => {
      const parts = ['']
      let isQuoted = false
      for (let i = 0; i < text.length; i++) {
        if (text[i] === '\\') parts.push(parts.pop()! + text[i++]! + (text[i] ?? ''))
        else {
          if (text[i] === '"') isQuoted = !isQuoted
          if (text[i] === at && !isQuoted) parts.push('')
          else parts.push(parts.pop()! + text[i]!)
        }
      }
      return parts
    }
    const plain = (text: string): string => text.replaceAll(/\\(.)/g, '$1')
    const pairs = (parts: string[]): Record<string, string> =>
      Object.fromEntries(parts.map((part) => cut(part, '=').map(plain) as [string, string]))
    const [head, fields, time] = cut(line, ' ')
    const [measurement, ...tags] = cut(head!, ',')
    return { measurement, tags: pairs(tags), fields: pairs(cut(fields!, ',')), time }
  }

  it('gets lines from which the event can be read again, whatever its label', () => {
    for (const label of ['open', 'tabby, tabby cat', 'a "b" c\\', 'x=y z', '雪 \u{1f6aa}']) {
      const line = lineOf(pointOf({ ...event, label, score: 0.97 }), { wallMs: Date.parse(event.ts), seq: 7 })
      expect(line.split('\n')).toHaveLength(1)
      expect(parse(line)).toEqual({
        measurement: 'gapcam',
        tags: { node: 'dock1', place: 'yard/gate', type: 'label_changed' },
        fields: { label: `"${label}"`, score: '0.97', seq: '7i', boot: '"b"' },
        time: `${Date.parse(event.ts)}000007`,
      })
    }
  })

  it('gets two events of one millisecond as two points, and a repetition as one', () => {
    const wallMs = Date.parse(event.ts)
    const times = [1, 2, 1, 1_000_002].map((seq) => lineOf(pointOf(event), { wallMs, seq }).split(' ').at(-1))
    expect(times).toEqual([`${wallMs}000001`, `${wallMs}000002`, `${wallMs}000001`, `${wallMs}000002`])
  })

  it.each([
    [2, 'http://db:8086/api/v2/write?org=a+b&bucket=gapcam&precision=ns'],
    [1, 'http://db:8086/write?db=gapcam&precision=ns'],
  ] as const)('gets the token, and the names of its interface of version %i', (version, wanted) => {
    const to = { url: 'http://db:8086/', version, org: 'a b', bucket: 'gapcam' }
    const { url, headers } = influxRequest(to, 'secret', pointOf(event), { wallMs: Date.parse(event.ts), seq: 7 })
    expect(url).toBe(wanted)
    expect(headers['authorization']).toBe('Token secret')
  })

  it.skipIf(!hasInflux)(
    'that is killed again and again has every event, whatever its label (skipped where influxd is not installed)',
    async () => {
      const run = launch(process.execPath, [join(projectRoot, 'scripts/faults/influx.mjs'), '--kills', '2'])
      const status = await run.ended
      expect(JSON.parse(run.stdout() || '{}'), run.stderr()).toMatchObject({ lost: 0, changed: 0, isHeld: true })
      expect(status).toBe(0)
    },
    60_000,
  )
})

it('a running gapcam posts its events, signed, without any broker', async () => {
  const { got, url } = await serve(() => 200)
  const secretFile = join(temporaryFolder(), 'secret')
  writeFileSync(secretFile, 'key', { mode: 0o600 })
  const flags = [
    '--broker',
    'none',
    '--loop',
    '--set',
    `webhook.url=${url}`,
    '--set',
    `webhook.secretFile=${secretFile}`,
  ]
  const run = gapcam(['run', photo, ...flags, '--set', 'page.enabled=false'])
  await until(() => got.length > 0, 'an event')
  run.kill('SIGTERM')
  await run.ended
  const [{ body, headers }] = got as [Got]
  expect(JSON.parse(body)).toMatchObject({ node: 'gapcam', place: 'cam0', event_type: 'label_changed', seq: 1 })
  const signature = createHmac('sha256', 'key').update(`${headers['x-gapcam-timestamp']}.${body}`).digest('hex')
  expect(headers['x-gapcam-signature']).toBe(`sha256=${signature}`)
}, 120_000)

it('a template with an error ends gapcam at the start with status 2 and says where the error is', async () => {
  const file = join(temporaryFolder(), 'webhook.yaml')
  writeFileSync(file, 'text: "{{place}} is {{lable}}"\n')
  const flags = ['--broker', 'none', '--set', 'webhook.url=http://127.0.0.1:1', '--set', `webhook.templateFile=${file}`]
  const run = gapcam(['run', photo, ...flags, '--set', 'page.enabled=false'])
  expect(await run.ended).toBe(2)
  expect(run.stderr()).toContain(`webhook.templateFile: ${file}: text has {{lable}}, which no field has`)
}, 60_000)
