/** Access control and validation on a real `gapcam run`: what the server refuses, and its security headers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as messages from '../../src/server/messages.js'
import { endAll } from '../process.js'
import { rawRequest, startPage, type RunningPage } from './running.js'

let page: RunningPage
beforeAll(async () => {
  page = await startPage()
})
afterAll(endAll)

describe('a request is refused with a reason', () => {
  it.each([
    ['an unknown camera', '/api/cameras/cam9/picture.jpg', 404, /no camera cam9/],
    ['an unknown path', '/api/nothing', 404, /nothing here/],
    ['an unknown size', '/api/cameras/cam0/picture.jpg?side=641', 400, /side/],
    ['an unknown parameter', '/api/cameras/cam0/picture.jpg?size=640', 400, /size/],
    ['an unknown report', '/api/reports/20200101T000000000Z-cam0/png', 404, /no report/],
    ['a report name that is a path', '/api/reports/..%2f..%2fsettings/json', 400, /name/],
  ])('%s', async (_, path, status, sentence) => {
    const response = await page.get(path)
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
  ])('a path does not lead out of the page: %s', async (path) => {
    const { status, body } = await rawRequest(page.port, `GET ${path}`, { host: '127.0.0.1' })
    expect([400, 404]).toContain(status)
    expect(body).not.toMatch(/root:|"dependencies"/)
  })

  it.each([
    ['a rebound host name', { host: 'evil.example' }, 421],
    ['no host name', {}, 400],
    ['two host names in one header', { host: '127.0.0.1 evil.example' }, 421],
    ['a host name with a user', { host: 'localhost@evil.example' }, 421],
    ['a read by another site', { host: '127.0.0.1', 'sec-fetch-site': 'cross-site' }, 403],
    ['a read by another origin of the same site', { host: '127.0.0.1', 'sec-fetch-site': 'same-site' }, 403],
    ['another origin', { host: '127.0.0.1', origin: 'http://evil.example' }, 403],
    ['the null origin of a sandbox', { host: '127.0.0.1', origin: 'null' }, 403],
  ])('%s', async (_, headers, status) => {
    expect((await rawRequest(page.port, 'GET /api/state', headers as Record<string, string>)).status).toBe(status)
  })

  it('a POST of another page, as a form or as JSON', async () => {
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

  it('a body that is too large, damaged, or has unknown fields', async () => {
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

  it('a flood of writes', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 60 }, () =>
        page.write('POST', '/api/cameras/none/reports', {}).then(({ status }) => status),
      ),
    )
    expect(statuses).toContain(429)
    expect((await page.get('/api/state')).status).toBe(200)
  })
})

it('every answer has the security headers', async () => {
  for (const path of ['/', '/page.js', '/api/state', '/nothing']) {
    const { headers } = await page.get(path)
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
