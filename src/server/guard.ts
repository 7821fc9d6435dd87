/**
 * Access control of the page and its API. A request is refused before anything is read when its Host header names another
 * machine (DNS rebinding), when another origin sends it (CSRF), or when it lacks the configured token.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'

/** Why a request is refused, and what its sender can do. */
export interface Refusal {
  readonly status: 401 | 403 | 421
  readonly code: string
  readonly message: string
  readonly hint: string
}

export interface GuardOptions {
  /** The address that the server listens on, as configured. */
  readonly host: string
  /** Null: no token is needed. */
  readonly token: string | null
}

export interface Guard {
  /** Null when the request is allowed. `isPublic`: it asks for one of the page's own files, which hold no secret. */
  refusal(request: {
    readonly method: string
    readonly headers: IncomingHttpHeaders
    readonly isPublic: boolean
    readonly isSocket: boolean
  }): Refusal | null
}

/** A write without a token needs this header. Forms and images of other pages cannot send it (CSRF). */
export const writeHeader = 'x-gapcam'
/**
 * First subprotocol of the live socket. A second one, `token.` and the token in base64url, carries the token: browsers
 * cannot set the Authorization header of a WebSocket.
 */
export const socketProtocol = 'gapcam.v1'

/**
 * A guard for one server.
 *
 *     const refusal = createGuard({ host: '127.0.0.1', token }).refusal({ method, headers, isPublic: false, isSocket: false })
 *     if (refusal) reply.code(refusal.status)
 */
export function createGuard({ host, token }: GuardOptions): Guard {
  const names = new Set([
    'localhost',
    host.toLowerCase(),
    hostname().toLowerCase(),
    `${hostname().toLowerCase()}.local`,
  ])
  const digest = token === null ? null : sha256(token)

  return {
    refusal({ method, headers, isPublic, isSocket }) {
      if (!isOurName(headers.host, names)) {
        return refuse(
          421,
          'HOST_UNKNOWN',
          'this server does not answer under that host name',
          'Use the address that gapcam prints at its start, or the IP address of this machine.',
        )
      }
      if (!isPublic && isForeign(headers))
        return refuse(
          403,
          'ORIGIN_FOREIGN',
          'the request comes from another web page',
          'Open the page of gapcam itself: requests from other origins are refused.',
        )
      const isTokenRight = digest !== null && hasToken(headers, digest, isSocket)
      if (digest !== null && !isPublic && !isTokenRight)
        return refuse(
          401,
          'TOKEN_WRONG',
          'the token is missing or wrong',
          'Send the configured page.token as “Authorization: Bearer TOKEN”.',
        )
      const isWrite = method !== 'GET' && method !== 'HEAD'
      if (isWrite && !isTokenRight && headers[writeHeader] === undefined) {
        return refuse(
          403,
          'HEADER_MISSING',
          `a request that changes something needs the header ${writeHeader}`,
          `Add the header ${writeHeader}: 1.`,
        )
      }
      return null
    },
  }
}

function refuse(status: Refusal['status'], code: string, message: string, hint: string): Refusal {
  return { status, code, message, hint }
}

/**
 * Whether a Host header names this machine. A DNS name of an attacker can point to this address; a numeric address
 * cannot be rebound. Any port is accepted, because tunnels change it.
 */
function isOurName(header: string | undefined, names: ReadonlySet<string>): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i.exec(header ?? '')
  if (!match) return false
  const name = match[1]!
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
  return isIP(name) !== 0 || names.has(name) || name.endsWith('.localhost')
}

/** Whether another origin sent it, by fetch metadata and Origin. Programs other than browsers send neither. */
function isForeign({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`
}

function hasToken(headers: IncomingHttpHeaders, digest: Buffer, isSocket: boolean): boolean {
  const [, bearer] = /^Bearer (\S+)$/i.exec(headers.authorization ?? '') ?? []
  const [, encoded] =
    (isSocket && /(?:^|,)\s*token\.([\w-]+)\s*(?:,|$)/.exec(headers['sec-websocket-protocol'] ?? '')) || []
  const given = bearer ?? (encoded === undefined ? undefined : Buffer.from(encoded, 'base64url').toString())
  return given !== undefined && timingSafeEqual(sha256(given), digest)
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Headers of every answer: the page runs only its own files, and no other page may embed it. */
export function securityHeaders(host: string): Readonly<Record<string, string>> {
  const policy = {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' blob:",
    // The sockets are listed too: Safari before 15.4 does not include them in 'self'.
    'connect-src': `'self' ws://${host} wss://${host}`,
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
    'require-trusted-types-for': "'script'",
  }
  return {
    'content-security-policy': Object.entries(policy)
      .map(([name, value]) => `${name} ${value}`)
      .join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    'cache-control': 'no-store',
  }
}
