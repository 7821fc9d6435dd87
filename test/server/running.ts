/** A real `gapcam run` with its page, a client for it, and a raw client for requests that fetch refuses to send. */
import { connect } from 'node:net'
import { gapcam, type Running } from '../process.js'

export interface RunningPage {
  readonly run: Running
  readonly url: string
  readonly port: number
  get(path: string): Promise<Response>
  /** Sends JSON, by default with the header that a write needs. */
  write(method: string, path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
}

/** Starts gapcam on a free port, without a broker. */
export async function startPage(
  args: readonly string[] = ['test://'],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningPage> {
  const run = gapcam(['run', ...args, '--json', '--broker', 'none', '--set', 'page.port=0'], { env })
  const [, url = '', port = ''] = await run.until(/^page {5}(http:\/\/\S+?:(\d+))$/m)
  return {
    run,
    url,
    port: Number(port),
    get: (path) => fetch(url + path),
    write: (method, path, body, headers = { 'x-gapcam': '1' }) =>
      fetch(url + path, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends text and reads until the server closes the connection. */
export function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text))
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}

/** One request with exactly these headers, and `connection: close`. */
export async function rawRequest(
  port: number,
  line: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<RawAnswer> {
  const lines = Object.entries({
    connection: 'close',
    ...headers,
    ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  }).map(([name, value]) => `${name}: ${value}`)
  const answer = await raw(port, [`${line} HTTP/1.1`, ...lines, '', body].join('\r\n'))
  const [head = '', ...rest] = answer.split('\r\n\r\n')
  const [status = '', ...fields] = head.split('\r\n')
  return {
    status: Number(status.split(' ')[1] ?? 0),
    body: rest.join('\r\n\r\n'),
    headers: Object.fromEntries(
      fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 2)]),
    ),
  }
}
