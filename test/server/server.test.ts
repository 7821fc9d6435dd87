/** The server itself: where it listens, the token, and errors that it does not expect. */
import { createServer } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { route } from '../../src/server/route.js'
import { startServer } from '../../src/server/server.js'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'
import { rawRequest, startPage } from './running.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-server-'))
afterAll(async () => {
  await endAll()
  rmSync(folder, { recursive: true, force: true })
})

it('an unexpected error goes to the log; the client gets no details', async () => {
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
    error: { code: 'INTERNAL', message: 'internal error; the log of gapcam has the details', hint: '' },
  })
  expect(lines).toEqual([expect.stringContaining('page: Error: the inside\n    at ')])
  await server.close()
})

describe('the address', () => {
  it('the port is the next free one when 8080 is in use', async () => {
    const holder = createServer()
    // A page of another test may use it for a moment.
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

  it('a configured port that is in use, or an address that does not exist yet, ends with status 5, so that a service restarts', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    const run = gapcam(['run', 'test://', '--json', '--broker', 'none', '--set', `page.port=${port}`])
    expect(await run.ended).toBe(5)
    expect(run.stderr()).toMatch(new RegExp(`page: port ${port} is in use`))
    await new Promise((resolve) => holder.close(resolve))
    // TEST-NET-1 (RFC 5737) is never assigned.
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

  it('an address that other machines reach needs a token, and the token gives access', async () => {
    const open = gapcam(['run', 'test://', '--json', '--broker', 'none', '--set', 'page.host=0.0.0.0'])
    expect(await open.ended).toBe(2)
    expect(open.stderr()).toMatch(/page\.host: 0\.0\.0\.0 is reachable from other machines, but no token is set/)
    const file = join(folder, 'token')
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

  it('no page is served with page.enabled=false', async () => {
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
