import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/decision/decision.js'
import {
  eventPayload,
  gapPayload,
  healthPayload,
  labelPayload,
  resultPayload,
  statePayload,
} from '../../src/publish/payloads.js'
import { createTopics, topicTable } from '../../src/publish/topics.js'
import { decision, prediction } from './fixture.js'

const wallMs = Date.UTC(2026, 0, 5, 10, 22, 33, 412)
const stamp = { wallMs, boot: '5f0c', seq: 18231, isClockSynced: true }
const settled: Decision = { ...decision('open', 0, 'closed'), score: 0.97321 }
const fields = { decision: settled, sinceWallMs: wallMs - 1512, prediction: prediction(912344) }

describe('payloads', () => {
  it('a state has the fields of the contract', () => {
    expect(JSON.parse(statePayload(stamp, fields))).toEqual({
      v: 1,
      ts: '2026-01-05T10:22:33.412Z',
      boot: '5f0c',
      seq: 18231,
      frame: 912344,
      label: 'open',
      score: 0.9732,
      prev: 'closed',
      since: '2026-01-05T10:22:31.900Z',
      top: [{ label: 'open', score: 0.97 }],
      ms: { capture: 8.1, preprocess: 0.3, infer: 11.2, total: 34 },
      model: { id: 'dock-7', sha256: '9f2c' },
      engine: 'native-neon',
      problem: 'none',
      clockSynced: true,
    })
  })

  it('the novelty of a taught model has a cause without null', () => {
    const like = { distance: 0.123456, limit: 0.4, cause: null } as const
    const withNovelty = { ...fields, prediction: { ...prediction(1), novelty: like } }
    expect(JSON.parse(statePayload(stamp, withNovelty)).novelty).toEqual({
      distance: 0.1235,
      limit: 0.4,
      cause: 'none',
    })
    const far = { ...like, cause: 'features' } as const
    expect(JSON.parse(resultPayload(stamp, { ...prediction(1), novelty: far })).novelty.cause).toBe('features')
  })

  it('results and events have the embedding, and the retained state does not', () => {
    const seen = { ...prediction(1), embedding: Float32Array.of(1) }
    const embedding = { length: 1, float16: 'ADw=' }
    expect(JSON.parse(resultPayload(stamp, seen))).toMatchObject({ embedding })
    expect(JSON.parse(eventPayload(stamp, { ...fields, prediction: seen }, 'label_changed'))).toMatchObject({
      embedding,
    })
    expect(JSON.parse(statePayload(stamp, { ...fields, prediction: seen }))).not.toHaveProperty('embedding')
  })

  it('a state without a camera has a reason, a score and no null', () => {
    const lost: Decision = {
      label: 'unknown',
      index: null,
      score: 0,
      prev: 'open',
      sinceMs: 0,
      reason: 'camera_lost',
      top: [],
    }
    const text = statePayload(stamp, { decision: lost, sinceWallMs: wallMs, prediction: null })
    expect(JSON.parse(text)).toMatchObject({ label: 'unknown', reason: 'camera_lost', score: 0, top: [] })
    expect(text).not.toContain('null')
  })

  it('an event is the state with its type and an id', () => {
    expect(JSON.parse(eventPayload(stamp, fields, 'label_changed'))).toEqual({
      ...JSON.parse(statePayload(stamp, fields)),
      event_type: 'label_changed',
      id: '5f0c-18231',
    })
  })

  it("a result has the frame's best label, not the settled one", () => {
    expect(JSON.parse(resultPayload(stamp, prediction(4)))).toMatchObject({
      frame: 4,
      label: 'open',
      score: 0.97,
      engine: 'native-neon',
    })
  })

  it('health has the state of the connection, a gap the missing numbers', () => {
    const mqtt = { connected: true, queued: 1, spooled_bytes: 2, dropped: 3, reconnects: 4, outbox: 'ok' }
    expect(
      JSON.parse(
        healthPayload(
          stamp,
          { uptime_s: 1, fps: 2, dropped: 0, infer_ms: { p50: 1, p95: 2, p99: 3 }, rss_mb: 5 },
          mqtt,
        ),
      ),
    ).toMatchObject({ mqtt, ts: '2026-01-05T10:22:33.412Z' })
    expect(JSON.parse(gapPayload(stamp, { from: 3, to: 9, missing: 5 }))).toMatchObject({
      event_type: 'gap',
      from: 3,
      to: 9,
      missing: 5,
      seq: 9,
    })
  })

  it('a label is cut to the length that Home Assistant accepts', () => {
    expect(labelPayload('x'.repeat(300))).toHaveLength(255)
    expect(labelPayload('Egyptian cat')).toBe('Egyptian cat')
  })
})

describe('topics', () => {
  const topics = createTopics('site/gapcam', 'dock1')

  it('are those of the contract, with QoS and retention', () => {
    expect(topics.node('nodeStatus')).toEqual({ topic: 'site/gapcam/dock1/status', qos: 1, isRetained: true })
    expect(topics.camera('label', 'cam0')).toEqual({ topic: 'site/gapcam/dock1/cam0/label', qos: 1, isRetained: true })
    expect(topics.camera('event', 'cam0')).toEqual({ topic: 'site/gapcam/dock1/cam0/event', qos: 1, isRetained: false })
    expect(topics.camera('result', 'cam0')).toEqual({
      topic: 'site/gapcam/dock1/cam0/result',
      qos: 0,
      isRetained: false,
    })
    expect(
      Object.entries(topicTable)
        .filter(([, row]) => row.isRetained)
        .map(([name]) => name),
    ).toEqual([
      'nodeStatus',
      'info',
      'health',
      'model',
      'bundle',
      'cameraStatus',
      'label',
      'state',
      'enabled',
      'threshold',
      'teach',
    ])
  })

  it.each(['', 'a/#', '+', '/a', 'a/', '$SYS/x'])('refuse the base %j', (base) => {
    expect(() => createTopics(base, 'dock1')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it.each(['', 'Dock', 'a b', 'a/b/c', 'a/', '/a', 'a#'])('refuse the id %j', (id) => {
    expect(() => createTopics('gapcam', id)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => topics.camera('label', id)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it('a zone has its topics below those of its camera, and none of their names', () => {
    expect(topics.camera('label', 'cam0/gate').topic).toBe('site/gapcam/dock1/cam0/gate/label')
    expect(() => createTopics('gapcam', 'a/b')).toThrow(/node id "a\/b"/)
    for (const name of ['status', 'label', 'image', 'enabled'])
      expect(() => topics.camera('label', `cam0/${name}`), name).toThrow(/topic of the camera/)
  })

  it("a camera cannot have the name of one of the node's topics", () => {
    const ofNode = Object.values(topicTable).filter((row) => row.of === 'node')
    for (const { name } of [...ofNode, { name: 'status' }])
      expect(() => topics.camera('label', name), name).toThrow(/topic of the node/)
  })
})
