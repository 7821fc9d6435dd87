/** The routes of the API on a real `gapcam run`: replies that match their schemas, and changes that take effect. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as messages from '../../src/server/messages.js'
import { endAll } from '../process.js'
import { projectRoot } from '../shared.js'
import { startPage, type RunningPage } from './running.js'

let page: RunningPage
let state: string
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'gapcam-page-'))
  page = await startPage(['test://', '--roi', '0.25,0,0.5,1'], { GAPCAM_STATE_DIR: state })
})
afterAll(async () => {
  await endAll()
  rmSync(state, { recursive: true, force: true })
})

describe('reading', () => {
  it.each([
    ['/api/info', messages.info],
    ['/api/state', messages.liveState],
    ['/api/cameras', z.array(messages.cameraState)],
    ['/api/samples', z.array(messages.sample)],
    ['/api/cameras/cam0/history', z.array(messages.labelChange)],
    ['/api/reports', z.array(messages.report)],
  ] as const)('the reply of %s matches its schema', async (path, schema) => {
    const response = await page.get(path)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    z.parse(schema, await response.json())
  })

  it('the state has the label, a growing frame count and the configured region', async () => {
    await page.run.until(/"label":/)
    const first = messages.liveState.parse(await (await page.get('/api/state')).json())
    expect(first.cameras[0]).toMatchObject({
      id: 'cam0',
      name: 'test scene',
      width: 640,
      height: 480,
      roi: { x: 0.25, y: 0, width: 0.5, height: 1 },
    })
    expect(first.cameras[0]!.top).toHaveLength(5)
    await expect
      .poll(async () => messages.liveState.parse(await (await page.get('/api/state')).json()).cameras[0]!.frames)
      .toBeGreaterThan(first.cameras[0]!.frames)
    expect(
      z.array(messages.labelChange).parse(await (await page.get('/api/cameras/cam0/history')).json()).length,
    ).toBeGreaterThan(0)
  })

  it('a picture has the size of the frame, or the requested longer side', async () => {
    for (const [query, width, height] of [
      ['', 640, 480],
      ['?side=320', 320, 240],
    ] as const) {
      const response = await page.get(`/api/cameras/cam0/picture.jpg${query}`)
      expect(response.headers.get('content-type')).toBe('image/jpeg')
      expect(await sharp(Buffer.from(await response.arrayBuffer())).metadata()).toMatchObject({
        format: 'jpeg',
        width,
        height,
      })
    }
  })

  it('a report keeps the frame and what was computed from it', async () => {
    const response = await page.write('POST', '/api/cameras/cam0/reports', { note: 'a robin' })
    const kept = messages.report.parse(await response.json())
    expect(kept).toMatchObject({ camera: 'cam0', note: 'a robin', isExact: false })
    expect(readdirSync(join(state, 'gapcam/reports')).sort()).toEqual([`${kept.name}.json`, `${kept.name}.png`])
    const picture = await sharp(
      Buffer.from(await (await page.get(`/api/reports/${kept.name}/png`)).arrayBuffer()),
    ).metadata()
    expect(picture).toMatchObject({ format: 'png', width: 640, height: 480 })
    const computed = (await (await page.get(`/api/reports/${kept.name}/json`)).json()) as {
      prediction: { logits: number[] }
      model: unknown
      frame: { shown: unknown }
    }
    expect(computed.prediction.logits).toHaveLength(1000)
    expect(computed).toMatchObject({
      note: 'a robin',
      model: { id: 'efficientnet-lite0' },
      decision: { label: kept.label },
      frame: { width: 640, height: 480 },
    })
  })

  it('the OpenAPI 3.1 document has every route and equals the one in docs', async () => {
    const document = (await (await page.get('/api/openapi.json')).json()) as {
      openapi: string
      paths: Record<string, Record<string, { responses: unknown; parameters?: { name: string; in: string }[] }>>
    }
    expect(document.openapi).toBe('3.1.0')
    expect(document).toEqual(JSON.parse(readFileSync(join(projectRoot, 'docs/openapi.json'), 'utf8')))
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations)) {
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        expect(
          (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name),
        ).toEqual(inPath)
      }
    }
  })
})

describe('changing', () => {
  const camera = async (): Promise<messages.CameraState> =>
    messages.liveState.parse(await (await page.get('/api/state')).json()).cameras[0]!

  it('the last of several writes of a threshold wins, and is kept in the settings', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, i) =>
        messages.cameraState.parse(
          await (await page.write('PUT', '/api/cameras/cam0/threshold', { value: 0.4 + i / 100 })).json(),
        ),
      ),
    )
    const { threshold } = await camera()
    expect(answers.map((answer) => answer.threshold)).toContain(threshold)
    await page.write('PUT', '/api/cameras/cam0/threshold', { value: 0.25 })
    expect((await camera()).threshold).toBe(0.25)
    await expect.poll(() => readFileSync(join(state, 'gapcam/settings.json'), 'utf8')).toMatch(/"threshold": ?0\.25/)
    expect(
      messages.cameraState.parse(await (await page.write('PUT', '/api/cameras/cam0/threshold', { value: null })).json())
        .threshold,
    ).toBe(0.3)
  })

  it('a region takes effect with the next frame', async () => {
    const roi = { x: 0, y: 0, width: 0.3, height: 0.4 }
    expect(
      messages.cameraState.parse(await (await page.write('PUT', '/api/cameras/cam0/roi', { value: roi })).json()).roi,
    ).toEqual(roi)
    const kept = messages.report.parse(await (await page.write('POST', '/api/cameras/cam0/reports', {})).json())
    const { frame } = (await (await page.get(`/api/reports/${kept.name}/json`)).json()) as { frame: { shown: unknown } }
    // 192 x 192 of 640 x 480: a square, as the network's input.
    expect(frame.shown).toEqual({ x: 0, y: 0, width: 0.3, height: 0.4 })
  })

  it('a paused camera has no label, and a resumed one has one again', async () => {
    expect(
      messages.cameraState.parse(await (await page.write('PUT', '/api/cameras/cam0/enabled', { value: false })).json()),
    ).toMatchObject({ isEnabled: false, label: 'unknown', reason: 'camera_disabled' })
    expect((await page.write('POST', '/api/cameras/cam0/reports', {})).status).toBe(409)
    await page.write('PUT', '/api/cameras/cam0/enabled', { value: null })
    await expect.poll(async () => (await camera()).label, { timeout: 20_000 }).not.toBe('unknown')
  })

  it.each([
    ['threshold', 1.5],
    ['threshold', 'much'],
    ['roi', { x: 0.5, y: 0, width: 0.6, height: 1 }],
    ['roi', [0, 0, 1, 1]],
    ['roi', { x: 0, y: 0, width: 0, height: 1 }],
    ['enabled', 'yes'],
  ])('an invalid value is refused: %s %j', async (kind, value) => {
    const before = await camera()
    expect((await page.write('PUT', `/api/cameras/cam0/${kind}`, { value })).status).toBe(400)
    expect(await camera()).toMatchObject({ threshold: before.threshold, isEnabled: before.isEnabled })
  })
})
