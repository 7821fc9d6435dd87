/**
 * HTTP as cameras speak it: Basic and Digest login, redirects, self-signed certificates, sloppy headers. One request, one
 * connection; the body is left to the caller.
 */
import { createHash, randomBytes } from 'node:crypto'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { parseCameraAddress, type CameraAddress } from '../address/camera.js'
import { GapcamError, messageOf } from '../errors.js'

const mostRedirects = 5
const silenceMs = 30_000

/** Makes requests of one camera; remembers its login challenge. */
export class HttpClient {
  readonly #address: CameraAddress
  #challenge: string | null = null
  #count = 0

  constructor(address: CameraAddress) {
    this.#address = address
  }

  /** The answer to GET. Rejects with CAMERA_NOT_FOUND. The caller reads or destroys the body. */
  async get(signal: AbortSignal): Promise<IncomingMessage> {
    let target = this.#address
    for (let redirects = 0, hasLoggedIn = false; ; ) {
      const response = await this.#ask(target, signal)
      const { statusCode = 0, headers } = response
      if (statusCode >= 200 && statusCode < 300) return response
      response.destroy()
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        if (redirects++ === mostRedirects) throw this.#refused(`it redirects more than ${mostRedirects} times`)
        target = this.#redirected(target, headers.location)
      } else if (statusCode === 401 && !hasLoggedIn && this.#address.user !== null) {
        this.#challenge = headers['www-authenticate'] ?? 'Basic'
        hasLoggedIn = true
      } else throw this.#refused(`it answers with status ${statusCode}`, statusCode)
    }
  }

  #ask(target: CameraAddress, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const isSameHost = target.host === this.#address.host
      const authorization = isSameHost ? this.#authorization(target) : null
      const path = `${target.path.startsWith('/') ? '' : '/'}${target.path}`
      const request = (target.scheme === 'https' ? requestHttps : requestHttp)({
        host: target.host.replace(/^\[|\]$/g, ''),
        port: target.port ?? undefined,
        path,
        signal,
        agent: false,
        insecureHTTPParser: true,
        // As ffmpeg does by default: cameras sign their certificates themselves.
        rejectUnauthorized: false,
        headers: { 'user-agent': 'gapcam', accept: '*/*', ...(authorization === null ? {} : { authorization }) },
      })
      request.on('response', resolve)
      request.on('error', (error) => reject(this.#refused(reasonOf(error))))
      request.setTimeout(silenceMs, () => request.destroy(new Error('it is silent')))
      request.end()
    })
  }

  #redirected(from: CameraAddress, location: string): CameraAddress {
    const base = `${from.scheme}://${from.host}${from.port === null ? '' : `:${from.port}`}${from.path}`
    const target = URL.canParse(location, base) ? parseCameraAddress(new URL(location, base).href) : null
    if (target && /^https?$/.test(target.scheme)) return target
    throw this.#refused('it redirects to an address that is not HTTP')
  }

  #refused(why: string, status = 0): GapcamError {
    const isLogin = status === 401 || status === 403
    const hasNoUser = status === 401 && this.#address.user === null
    return new GapcamError('CAMERA_NOT_FOUND', `camera ${this.#address.shown} cannot be opened: ${why}`, {
      hint: hasNoUser
        ? 'The camera wants a login: put USER:PASSWORD@ in front of the host of its address, or use passwordFile.'
        : isLogin
          ? 'Check the user and the password of the camera.'
          : status === 404
            ? "Check the path of the address; the camera's manual names that of its stream or its still picture."
            : 'Check the address, and that the camera is switched on and can be reached.',
    })
  }

  /** The header that answers the camera's challenge; null before there was one. */
  #authorization({ path }: CameraAddress): string | null {
    const { user, password } = this.#address
    if (this.#challenge === null || user === null) return null
    const login = { user, password: password ?? '' }
    if (!/^\s*digest/i.test(this.#challenge))
      return `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`
    return digest(this.#challenge, login, `${path.startsWith('/') ? '' : '/'}${path}`, ++this.#count)
  }
}

/** RFC 7616 for GET, with qop auth or without. */
function digest(
  challenge: string,
  { user, password }: { readonly user: string; readonly password: string },
  uri: string,
  count: number,
): string {
  const parts: Record<string, string> = {}
  for (const [, key = '', quoted, bare] of challenge.matchAll(/(\w+)=(?:"([^"]*)"|([^,\s]*))/g))
    parts[key.toLowerCase()] = quoted ?? bare ?? ''
  const { realm = '', nonce = '', qop, opaque, algorithm = 'MD5' } = parts
  const hash = (text: string): string =>
    createHash(/^sha-256/i.test(algorithm) ? 'sha256' : 'md5')
      .update(text)
      .digest('hex')
  const cnonce = randomBytes(8).toString('hex')
  const nc = count.toString(16).padStart(8, '0')
  const plain = hash(`${user}:${realm}:${password}`)
  const secret = /-sess$/i.test(algorithm) ? hash(`${plain}:${nonce}:${cnonce}`) : plain
  const asked = hash(`GET:${uri}`)
  const hasQop = qop !== undefined && /\bauth\b/.test(qop)
  const response = hash(hasQop ? `${secret}:${nonce}:${nc}:${cnonce}:auth:${asked}` : `${secret}:${nonce}:${asked}`)
  const fields = [
    `username="${user}"`,
    `realm="${realm}"`,
    `nonce="${nonce}"`,
    `uri="${uri}"`,
    `algorithm=${algorithm}`,
    `response="${response}"`,
    ...(hasQop ? ['qop=auth', `nc=${nc}`, `cnonce="${cnonce}"`] : []),
    ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
  ]
  return `Digest ${fields.join(', ')}`
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return 'connection refused'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name is not known'
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'there is no way to it'
  if (code === 'EPROTO') return 'it does not speak TLS there; its address may begin with http://'
  if (code === 'ECONNRESET') return 'it has ended the connection'
  return messageOf(error)
}
