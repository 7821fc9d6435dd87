/** The page's API on a real `gapcam run`: what it answers, that it answers as it is described, and whom it refuses. */
import { createServer } from 'node:http'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as messages from '../../src/server/messages.js'
import { route } from '../../src/server/route.js'
import { startServer } from '../../src/server/server.js'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'
import { rawRequest, startPage, type RunningPage } from './running.js'

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

const get = (path: string): Promise<Response> => fetch(page.url + path)
const write = (
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = { 'x-gapcam': '1' },
): Promise<Response> =>
  fetch(page.url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

describe('what it answers', () => {
  it.each([
    ['/api/info', messages.info],
    ['/api/state', messages.liveState],
    ['/api/cameras', z.array(messages.cameraState)],
    ['/api/samples', z.array(messages.sample)],
    ['/api/cameras/cam0/history', z.array(messages.labelChange)],
    ['/api/reports', z.array(messages.report)],
  ] as const)('%s is as its schema says', async (path, schema) => {
    const response = await get(path)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    z.parse(schema, await response.json())
  })

  it('the state has the label, its frames go on, and the region that was given', async () => {
    await page.run.until(/"label":/)
    const first = messages.liveState.parse(await (await get('/api/state')).json())
    expect(first.cameras[0]).toMatchObject({
      id: 'cam0',
      name: 'test scene',
      width: 640,
      height: 480,
      roi: { x: 0.25, y: 0, width: 0.5, height: 1 },
    })
    expect(first.cameras[0]!.top).toHaveLength(5)
    await expect
      .poll(async () => messages.liveState.parse(await (await get('/api/state')).json()).cameras[0]!.frames)
      .toBeGreaterThan(first.cameras[0]!.frames)
    expect(
      z.array(messages.labelChange).parse(await (await get('/api/cameras/cam0/history')).json()).length,
    ).toBeGreaterThan(0)
  })

  it("a picture at the camera's own size, and within a side", async () => {
    for (const [query, width, height] of [
      ['', 640, 480],
      ['?side=320', 320, 240],
    ] as const) {
      const response = await get(`/api/cameras/cam0/picture.jpg${query}`)
      expect(response.headers.get('content-type')).toBe('image/jpeg')
      expect(await sharp(Buffer.from(await response.arrayBuffer())).metadata()).toMatchObject({
        format: 'jpeg',
        width,
        height,
      })
    }
  })

  it('"this is wrong" keeps the frame and what was computed from it', async () => {
    const response = await write('POST', '/api/cameras/cam0/reports', { note: 'a robin' })
    const kept = messages.report.parse(await response.json())
    expect(kept).toMatchObject({ camera: 'cam0', note: 'a robin', isExact: false })
    expect(readdirSync(join(state, 'gapcam/reports')).sort()).toEqual([`${kept.name}.json`, `${kept.name}.png`])
    const picture = await sharp(
      Buffer.from(await (await get(`/api/reports/${kept.name}/png`)).arrayBuffer()),
    ).metadata()
    expect(picture).toMatchObject({ format: 'png', width: 640, height: 480 })
    const computed = (await (await get(`/api/reports/${kept.name}/json`)).json()) as {
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

  it('describes itself: OpenAPI 3.1 with every route, the same as in docs', async () => {
    const document = (await (await get('/api/openapi.json')).json()) as {
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

describe('what it changes', () => {
  const camera = async (): Promise<messages.CameraState> =>
    messages.liveState.parse(await (await get('/api/state')).json()).cameras[0]!

  it('of two editors of one threshold the last wins, and both see its value', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, i) =>
        messages.cameraState.parse(
          await (await write('PUT', '/api/cameras/cam0/threshold', { value: 0.4 + i / 100 })).json(),
        ),
      ),
    )
    const { threshold } = await camera()
    expect(answers.map((answer) => answer.threshold)).toContain(threshold)
    await write('PUT', '/api/cameras/cam0/threshold', { value: 0.25 })
    expect((await camera()).threshold).toBe(0.25)
    await expect.poll(() => readFileSync(join(state, 'gapcam/settings.json'), 'utf8')).toMatch(/"threshold": ?0\.25/)
    expect(
      messages.cameraState.parse(await (await write('PUT', '/api/cameras/cam0/threshold', { value: null })).json())
        .threshold,
    ).toBe(0.3)
  })

  it('a region holds from the next frame on', async () => {
    const roi = { x: 0, y: 0, width: 0.3, height: 0.4 }
    expect(
      messages.cameraState.parse(await (await write('PUT', '/api/cameras/cam0/roi', { value: roi })).json()).roi,
    ).toEqual(roi)
    const kept = messages.report.parse(await (await write('POST', '/api/cameras/cam0/reports', {})).json())
    const { frame } = (await (await get(`/api/reports/${kept.name}/json`)).json()) as { frame: { shown: unknown } }
    // 192 x 192 of 640 x 480: a square, since the network's input is one.
    expect(frame.shown).toEqual({ x: 0, y: 0, width: 0.3, height: 0.4 })
  })

  it('a paused camera has no label, and goes on when it may', async () => {
    expect(
      messages.cameraState.parse(await (await write('PUT', '/api/cameras/cam0/enabled', { value: false })).json()),
    ).toMatchObject({ isEnabled: false, label: 'unknown', reason: 'camera_disabled' })
    expect((await write('POST', '/api/cameras/cam0/reports', {})).status).toBe(409)
    await write('PUT', '/api/cameras/cam0/enabled', { value: null })
    await expect.poll(async () => (await camera()).label, { timeout: 20_000 }).not.toBe('unknown')
  })

  it.each([
    ['threshold', 1.5],
    ['threshold', 'much'],
    ['roi', { x: 0.5, y: 0, width: 0.6, height: 1 }],
    ['roi', [0, 0, 1, 1]],
    ['roi', { x: 0, y: 0, width: 0, height: 1 }],
    ['enabled', 'yes'],
  ])('refuses %s %j', async (kind, value) => {
    const before = await camera()
    expect((await write('PUT', `/api/cameras/cam0/${kind}`, { value })).status).toBe(400)
    expect(await camera()).toMatchObject({ threshold: before.threshold, isEnabled: before.isEnabled })
  })
})

describe('what it refuses, in one sentence', () => {
  it.each([
    ['a camera that is not there', '/api/cameras/cam9/picture.jpg', 404, /no camera cam9/],
    ['a path that is none', '/api/nothing', 404, /nothing here/],
    ['a side that is none', '/api/cameras/cam0/picture.jpg?side=641', 400, /side/],
    ['an unknown parameter', '/api/cameras/cam0/picture.jpg?size=640', 400, /size/],
    ['a report of no such name', '/api/reports/20200101T000000000Z-cam0/png', 404, /no report/],
    ['a name that is a path', '/api/reports/..%2f..%2fsettings/json', 400, /name/],
  ])('%s', async (_, path, status, sentence) => {
    const response = await get(path)
    const { error } = messages.failure.parse(await response.json())
    expect([response.status, error.message]).toEqual([status, expect.stringMatching(sentence)])
  })

  it.each([
    '/../package.json',
    '/..%2f..%2fpackage.json',
    '/page.js/../../../package.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/api/reports/%2e%2e%2f%2e%2e%2fetc%2fpasswd/json',
    '//etc/passwd',
    '/page.js%00.html',
    '/\\..\\etc',
  ])('leads nowhere: %s', async (path) => {
    const { status, body } = await rawRequest(page.port, `GET ${path}`, { host: '127.0.0.1' })
    expect([400, 404]).toContain(status)
    expect(body).not.toMatch(/root:|"dependencies"/)
  })

  it.each([
    ['a name that was rebound to us', { host: 'evil.example' }, 421],
    ['no name', {}, 400],
    ['two names in one', { host: '127.0.0.1 evil.example' }, 421],
    ['an address as user', { host: 'localhost@evil.example' }, 421],
    ['another page that reads', { host: '127.0.0.1', 'sec-fetch-site': 'cross-site' }, 403],
    ['a page of the same site', { host: '127.0.0.1', 'sec-fetch-site': 'same-site' }, 403],
    ['another origin', { host: '127.0.0.1', origin: 'http://evil.example' }, 403],
    ['the null origin of a sandbox', { host: '127.0.0.1', origin: 'null' }, 403],
  ])('%s', async (_, headers, status) => {
    expect((await rawRequest(page.port, 'GET /api/state', headers as Record<string, string>)).status).toBe(status)
  })

  it('a post of another page, as a form or as JSON', async () => {
    const body = '{"note":"x"}'
    for (const [headers, status] of [
      [{ 'content-type': 'application/json' }, 403],
      [{ 'content-type': 'text/plain', 'x-gapcam': '1' }, 415],
      [{ 'content-type': 'application/x-www-form-urlencoded', 'x-gapcam': '1' }, 415],
      [{ 'content-type': 'application/json', 'x-gapcam': '1', origin: 'https://evil.example' }, 403],
      [{ 'content-type': 'application/json', 'x-gapcam': '1', 'sec-fetch-site': 'cross-site' }, 403],
    ] as const) {
      expect(
        (await rawRequest(page.port, 'POST /api/cameras/cam0/reports', { host: '127.0.0.1', ...headers }, body)).status,
      ).toBe(status)
    }
  })

  it('bodies that are too large, damaged, or say more than they should', async () => {
    const post = (body: string): Promise<{ status: number; body: string }> =>
      rawRequest(
        page.port,
        'POST /api/cameras/cam0/reports',
        { host: '127.0.0.1', 'x-gapcam': '1', 'content-type': 'application/json' },
        body,
      )
    expect((await post(`{"note":"${'x'.repeat(20_000)}"}`)).status).toBe(413)
    expect((await post('{"note":')).status).toBe(400)
    expect((await post('{"note":"x","__proto__":{"a":1}}')).status).toBe(400)
    expect((await post('{"note":"x","path":"/etc"}')).status).toBe(400)
    expect((await post(`{"note":"${'x'.repeat(501)}"}`)).status).toBe(400)
  })

  it('who writes without end', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 60 }, () => write('POST', '/api/cameras/none/reports', {}).then(({ status }) => status)),
    )
    expect(statuses).toContain(429)
    expect((await get('/api/state')).status).toBe(200)
  })

  it('what nobody foresaw, without its inside, which the log has', async () => {
    const lines: string[] = []
    const routes = [
      route({
        method: 'GET',
        url: '/api/broken',
        summary: '',
        reply: z.unknown(),
        handle: () => {
          throw new Error('the inside')
        },
      }),
    ]
    const server = await startServer({
      host: '127.0.0.1',
      port: 0,
      token: null,
      version: '0',
      routes,
      sockets: { size: 0, add: () => undefined, close: () => undefined },
      log: { error: (_: unknown, text?: string) => void lines.push(text!) },
    })
    const response = await fetch(`${server.url}/api/broken`)
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      error: { code: 'INTERNAL', message: 'something went wrong inside; the log says what', hint: '' },
    })
    expect(lines).toEqual([expect.stringContaining('page: Error: the inside\n    at ')])
    await server.close()
  })

  it('says with every answer what a browser may do with it', async () => {
    for (const path of ['/', '/page.js', '/api/state', '/nothing']) {
      const { headers } = await get(path)
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'/)
      expect(headers.get('content-security-policy')).not.toMatch(/unsafe/)
      expect(
        Object.fromEntries(
          [
            'x-content-type-options',
            'x-frame-options',
            'referrer-policy',
            'cross-origin-resource-policy',
            'access-control-allow-origin',
          ].map((name) => [name, headers.get(name)]),
        ),
      ).toEqual({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'access-control-allow-origin': null,
      })
    }
  })
})

describe('where it listens', () => {
  it('takes the next port where 8080 is taken', async () => {
    const holder = createServer()
    // Another test's page may have it for a moment.
    await expect
      .poll(
        () =>
          new Promise((resolve) => {
            holder.once('error', () => resolve(false))
            holder.listen(8080, '127.0.0.1', () => resolve(true))
          }),
        { timeout: 40_000, interval: 100 },
      )
      .toBe(true)
    const run = gapcam(['run', 'test://', '--json', '--broker', 'none'])
    const [, port] = await run.until(/^page {5}http:\/\/127\.0\.0\.1:(\d+)$/m)
    expect(Number(port)).toBeGreaterThan(8080)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    await new Promise((resolve) => holder.close(resolve))
  })

  it('a port that was asked for and is taken, or an address that is not there yet, is an error that names it and that a service is started again for', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    const run = gapcam(['run', 'test://', '--json', '--broker', 'none', '--set', `page.port=${port}`])
    expect(await run.ended).toBe(5)
    expect(run.stderr()).toMatch(new RegExp(`page: port ${port} is in use`))
    await new Promise((resolve) => holder.close(resolve))
    // TEST-NET-1 (RFC 5737): nobody's.
    const early = gapcam([
      'run',
      'test://',
      '--json',
      '--broker',
      'none',
      '--set',
      'page.host=192.0.2.1',
      '--set',
      'page.token=sixteen-letters-16',
    ])
    expect(await early.ended).toBe(5)
    expect(early.stderr()).toMatch(/page: cannot listen on 192\.0\.2\.1:8080/)
  })

  it('an address that others reach needs a token, and the token opens it', async () => {
    const open = gapcam(['run', 'test://', '--json', '--broker', 'none', '--set', 'page.host=0.0.0.0'])
    expect(await open.ended).toBe(2)
    expect(open.stderr()).toMatch(/page\.host: 0\.0\.0\.0 is open to others, and there is no page\.token/)
    const file = join(state, 'token')
    writeFileSync(file, 'a token of 24 characters\n'.replace(/ /g, '-'))
    const { run, port } = await startPage(['test://', '--set', 'page.host=0.0.0.0', '--set', `page.tokenFile=${file}`])
    const token = 'a-token-of-24-characters'
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (await rawRequest(port, 'GET /api/state', { host: '127.0.0.1', ...headers })).status
    expect(
      await Promise.all([ask({}), ask({ authorization: 'Bearer wrong' }), ask({ authorization: `Bearer ${token}` })]),
    ).toEqual([401, 401, 200])
    expect((await rawRequest(port, 'GET /', { host: '127.0.0.1' })).status).toBe(200)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
  })

  it('page.enabled=false serves nothing', async () => {
    const run = gapcam([
      'run',
      join(projectRoot, 'models/photos/bird.jpg'),
      '--json',
      '--broker',
      'none',
      '--frames',
      '2',
      '--set',
      'page.enabled=false',
    ])
    expect(await run.ended).toBe(0)
    expect(run.stderr()).not.toMatch(/^page/m)
  })
})
