/** Cameras over HTTP: MJPEG in the forms that cameras send it, logins, a limited rate, a single client, polled stills. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CameraOptions } from '../../src/camera/camera.js'
import { openCamera } from '../../src/camera/sources.js'

const { signal } = new AbortController()
const servers: Server[] = []
/** Pictures of rising brightness: which one arrived shows in its level. */
let jpegs: Buffer[] = []

beforeAll(async () => {
  jpegs = await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      sharp({ create: { width: 64, height: 48, channels: 3, background: { r: i * 10, g: i * 10, b: i * 10 } } })
        .jpeg()
        .toBuffer(),
    ),
  )
})
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Form {
  readonly type: string | null
  readonly before: (length: number) => string
  readonly after: string
}

const head = (length: number): string => `Content-Type: image/jpeg\r\nContent-Length: ${length}\r\n\r\n`
const multipart = 'multipart/x-mixed-replace; boundary=frame'
const usual: Form = { type: multipart, before: (length) => `--frame\r\n${head(length)}`, after: '\r\n' }

/** Sends pictures in a form at a rate, the first at once, until the client goes. */
function stream(
  response: ServerResponse,
  { type, before, after }: Form,
  fps: number,
  cut: (i: number) => boolean = () => false,
): void {
  response.writeHead(200, type === null ? {} : { 'content-type': type })
  let i = 0
  const send = (): void => {
    const whole = jpegs[i % jpegs.length]!
    const jpeg = cut(i++) ? whole.subarray(0, whole.length >> 1) : whole
    response.write(before(jpeg.length))
    response.write(jpeg)
    response.write(after)
  }
  send()
  const timer = setInterval(send, 1000 / fps)
  response.on('close', () => clearInterval(timer))
}

interface Seen {
  readonly levels: readonly number[]
  readonly dropped: number
  readonly isLive: boolean | undefined
  readonly warnings: readonly string[]
}

async function look(uri: string, forMs: number, options: CameraOptions = {}): Promise<Seen> {
  const camera = openCamera(uri, options)
  const warnings: string[] = []
  camera.onWarning = (error) => {
    warnings.push(error.message)
  }
  const levels: number[] = []
  const begin = performance.now()
  try {
    await camera.open(signal)
    while (levels.length === 0 || performance.now() - begin < forMs) {
      const frame = await camera.next(signal)
      levels.push(Math.round((frame!.pixels as Uint8Array)[0]! / 10))
      frame!.release()
    }
    return { levels, dropped: camera.dropped, isLive: camera.isLive, warnings }
  } finally {
    await camera.close()
  }
}

describe('MJPEG', () => {
  it.each<[string, Form]>([
    ['as usual', usual],
    ['without its first boundary', { type: multipart, before: head, after: '\r\n--frame\r\n' }],
    ['with a boundary of two dashes more', { ...usual, type: 'multipart/x-mixed-replace; boundary=--frame' }],
    ['with a boundary in quotes', { ...usual, type: 'multipart/x-mixed-replace;boundary="frame"' }],
    ['without lengths', { ...usual, before: () => '--frame\r\nContent-Type: image/jpeg\r\n\r\n' }],
    ['with wrong lengths', { ...usual, before: () => `--frame\r\n${head(7)}` }],
    ['without a boundary in its type', { ...usual, type: 'multipart/x-mixed-replace' }],
    ['as octets', { ...usual, type: 'application/octet-stream' }],
    ['without a type', { ...usual, type: null }],
    ['as JPEGs in a row', { type: null, before: () => '', after: '' }],
  ])('%s is read at once, every picture', async (_, form) => {
    const host = await serve((_request, response) => stream(response, form, 20))
    const { levels, isLive } = await look(`http://${host}/`, 500)
    expect(levels[0]).toBe(0)
    expect(levels.length).toBeGreaterThan(3)
    expect(isLive).toBe(true)
  })

  it('a picture that is cut counts as dropped and is reported once in a row', async () => {
    const host = await serve((_request, response) => stream(response, usual, 20, (i) => i % 4 > 1))
    const { levels, dropped } = await look(`http://${host}/`, 700)
    expect(levels.every((level) => level % 4 < 2)).toBe(true)
    expect(dropped).toBeGreaterThan(2)
  })

  it('with a limit of frames a second the newest picture is taken', async () => {
    const host = await serve((_request, response) => stream(response, usual, 20))
    const { levels, dropped } = await look(`http://${host}/`, 1000, { fps: 4 })
    // One at once, then one each 250 ms, each five pictures later.
    expect(levels.length).toBeGreaterThanOrEqual(4)
    expect(levels.length).toBeLessThanOrEqual(6)
    expect(levels.at(-1)).toBeGreaterThanOrEqual(12)
    expect(dropped).toBeGreaterThan(8)
  })

  it('a slow camera is not slowed further by the limit', async () => {
    const host = await serve((_request, response) => stream(response, usual, 4))
    const { levels } = await look(`http://${host}/`, 1900, { fps: 2 })
    expect(levels.length).toBeGreaterThanOrEqual(4)
  })

  it('the first picture of a camera with one in five seconds is there at once', async () => {
    const host = await serve((_request, response) => stream(response, usual, 0.2))
    const begin = performance.now()
    expect((await look(`http://${host}/`, 0)).levels).toEqual([0])
    expect(performance.now() - begin).toBeLessThan(1500)
  })

  it('one connection is made, and none is left', async () => {
    let [made, left] = [0, 0]
    const host = await serve((_request, response) => {
      made++
      left++
      response.on('close', () => left--)
      stream(response, usual, 20)
    })
    await look(`http://${host}/`, 200)
    await expect.poll(() => left).toBe(0)
    expect(made).toBe(1)
  })

  it('a server that ends the stream, refuses, or sends no picture is an error', async () => {
    const ending = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': multipart }).end('--frame'),
    )
    await expect(look(`http://${ending}/`, 0)).rejects.toMatchObject({ code: 'CAMERA_LOST' })
    const busy = await serve((_request, response) => response.writeHead(503).end())
    await expect(look(`http://${busy}/`, 0)).rejects.toMatchObject({
      code: 'CAMERA_NOT_FOUND',
      message: `camera http://${busy}/ cannot be opened: it answers with status 503`,
    })
    const page = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>log in</html>'),
    )
    await expect(look(`http://${page}/`, 0)).rejects.toMatchObject({
      code: 'CAMERA_NOT_FOUND',
      message: `camera http://${page}/ cannot be opened: it answers with a web page`,
    })
  })

  it('a camera without its login, a redirect in a circle, no TLS and a cut picture are said in words', async () => {
    const host = await serve((request, response) => {
      if (request.url === '/login') return response.writeHead(401, { 'www-authenticate': 'Basic realm="cam"' }).end()
      if (request.url === '/circle') return response.writeHead(302, { location: '/circle' }).end()
      response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': 5000 })
      return response.write(jpegs[0]!, () => response.destroy())
    })
    const fault = async (uri: string): Promise<unknown> => look(uri, 0).catch((error: unknown) => error)
    expect(await fault(`http://${host}/login`)).toMatchObject({
      hint: expect.stringMatching(/USER:PASSWORD@/) as string,
    })
    expect(await fault(`http://${host}/circle`)).toMatchObject({
      message: `camera http://${host}/circle cannot be opened: it redirects more than 5 times`,
    })
    expect(await fault(`https://${host}/`)).toMatchObject({
      message: `camera https://${host}/ cannot be opened: it does not speak TLS there; its address may begin with http://`,
    })
    expect(await fault(`http://${host}/cut`)).toMatchObject({
      code: 'CAMERA_LOST',
      message: `camera http://${host}/cut: its picture ends early`,
    })
  })
})

describe('a login', () => {
  const [user, password] = ['view er', 'p:a#s/s?']
  const md5 = (text: string): string => createHash('md5').update(text).digest('hex')
  const isBasic = (given: string): boolean => given === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const isDigest = (given: string): boolean => {
    const part = (key: string): string => new RegExp(`${key}="?([^",]*)`).exec(given)?.[1] ?? ''
    const [own, asked] = [md5(`${user}:cam:${password}`), md5(`GET:${part('uri')}`)]
    return part('response') === md5(`${own}:n1:${part('nc')}:${part('cnonce')}:auth:${asked}`)
  }

  it.each<[string, string, (given: string) => boolean]>([
    ['Basic', 'Basic realm="cam"', isBasic],
    ['Digest', 'Digest realm="cam", nonce="n1", qop="auth", algorithm=MD5', isDigest],
  ])('by %s is made when the camera asks for it, and a wrong one is said', async (_, challenge, isRight) => {
    const host = await serve((request, response) => {
      if (isRight(request.headers.authorization ?? '')) return stream(response, usual, 20)
      response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    expect((await look(`http://${user}:${password}@${host}/s?x=1`, 0)).levels).toEqual([0])
    const error = await look(`http://${user}:other#word@${host}/s`, 0).catch((fault: unknown) => fault as Error)
    expect(error).toMatchObject({ code: 'CAMERA_NOT_FOUND', hint: 'Check the user and the password of the camera.' })
    expect((error as Error).message).not.toMatch(/other/)
  })
})

it('a still picture is polled at the rate that is wanted, and is no live camera', async () => {
  let asked = 0
  const host = await serve((request, response) => {
    if (request.url === '/old.jpg') return response.writeHead(302, { location: '/snap.jpg' }).end()
    const jpeg = jpegs[asked++ % jpegs.length]!
    return response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': jpeg.length }).end(jpeg)
  })
  const { levels, isLive } = await look(`http://${host}/old.jpg`, 900, { fps: 5 })
  expect(levels.slice(0, 3)).toEqual([0, 1, 2])
  expect(levels.length).toBeGreaterThanOrEqual(4)
  expect(levels.length).toBeLessThanOrEqual(6)
  expect(isLive).toBe(false)
})

it('a still picture that does not end is an error before it fills the memory', async () => {
  const host = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'image/jpeg' })
    const part = Buffer.alloc(4e6)
    const send = (): void => {
      while (!response.destroyed && response.write(part));
    }
    response.on('drain', send)
    send()
  })
  await expect(look(`http://${host}/`, 0)).rejects.toMatchObject({
    code: 'CAMERA_FORMAT',
    message: expect.stringMatching(/does not end/) as string,
  })
})

it.each([{ 'content-type': 'application/octet-stream' }, {}])(
  'a still picture that arrives whole with the head %o is known by its bytes',
  async (type) => {
    const jpeg = jpegs[7]!
    const host = await serve((request, response) => {
      const head = [...Object.entries({ ...type, 'content-length': jpeg.length })].map(
        ([key, value]) => `${key}: ${value}`,
      )
      // One write, so that the end is there with the first bytes.
      request.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head.join('\r\n')}\r\n\r\n`), jpeg]))
      response.detachSocket(request.socket)
    })
    expect(await look(`http://${host}/`, 0)).toMatchObject({ levels: [7], isLive: false })
  },
)

it('a still picture of HTTP/1.0 without type and length is polled, and is no live camera', async () => {
  let asked = 0
  const host = await serve((request, response) => {
    request.socket.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), jpegs[asked++ % jpegs.length]!]))
    response.detachSocket(request.socket)
  })
  const { levels, isLive } = await look(`http://${host}/`, 500, { fps: 5 })
  expect(levels.slice(0, 2)).toEqual([0, 1])
  expect(isLive).toBe(false)
})

it('MPEG-TS behind a login is decoded from the connection that was opened', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'gapcam-ts-')), 'clip.ts')
  const source = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=10', '-t', '4', '-pix_fmt', 'yuv420p']
  execFileSync('ffmpeg', [...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', file])
  const bytes = readFileSync(file)
  rmSync(dirname(file), { recursive: true })
  let sent = 0
  const host = await serve((request, response) => {
    if (request.headers.authorization !== `Basic ${Buffer.from('u:pa#ss').toString('base64')}`)
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="cam"' }).end()
    sent++
    return response.writeHead(200, { 'content-type': 'video/mp2t' }).end(bytes)
  })
  const camera = openCamera(`http://u:pa#ss@${host}/live`, {})
  expect(await camera.open(signal)).toMatchObject({
    width: 320,
    height: 240,
    format: 'i420',
    uri: `http://${host}/live`,
  })
  const frame = await camera.next(signal)
  expect(frame).toMatchObject({ width: 320, height: 240 })
  expect(camera.isLive).toBe(true)
  await camera.close()
  expect(sent).toBe(1)
})
