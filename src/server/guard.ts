/**
 * Who may ask for what. The page shows what a camera sees and changes how it is judged, so a name that was rebound to
 * this address, a page of another origin and a visitor without the token are all refused, before anything is read.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'

export interface Refusal {
  readonly status: 401 | 403 | 421
  readonly code: string
  readonly message: string
  readonly hint: string
}

export interface GuardOptions {
  /** The address that the server listens on, as configured. */
  readonly host: string
  readonly token: string | null
}

export interface Guard {
  /** Why a request is refused, or null. `isPublic`: the page's own files, which hold nothing secret. */
  refusal(request: {
    readonly method: string
    readonly headers: IncomingHttpHeaders
    readonly isPublic: boolean
    readonly isSocket: boolean
  }): Refusal | null
}

/** Header by which a program without a token shows that no form or picture of another page makes it write. */
export const writeHeader = 'x-gapcam'
/** First subprotocol of the live socket; a second one, `token.` and the token in base64url, is the browser's Authorization. */
export const socketProtocol = 'gapcam.v1'

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
          'this address is not known by that name',
          'Use the address in the banner, or the IP address of this machine.',
        )
      }
      if (!isPublic && isForeign(headers))
        return refuse(
          403,
          'ORIGIN_FOREIGN',
          'another page asked for this',
          'Open the page itself; other origins are refused.',
        )
      const isTokenRight = digest !== null && hasToken(headers, digest, isSocket)
      if (digest !== null && !isPublic && !isTokenRight)
        return refuse(
          401,
          'TOKEN_WRONG',
          'the token is missing or wrong',
          'Give it as Authorization: Bearer …; it is the configuration’s page.token.',
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

/** A name that an attacker's DNS points here arrives in Host; an address in digits cannot be rebound. Any port: tunnels change it. */
function isOurName(header: string | undefined, names: ReadonlySet<string>): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i.exec(header ?? '')
  if (!match) return false
  const name = match[1]!
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
  return isIP(name) !== 0 || names.has(name) || name.endsWith('.localhost')
}

/** Fetch metadata where the browser sends it, the Origin where it does. Programs send neither. */
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

/** Headers of every answer. The page runs its own files and nothing else; nobody frames it. */
export function securityHeaders(host: string): Readonly<Record<string, string>> {
  const policy = {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' blob:",
    // The sockets by name too: Safari before 15.4 does not count them to 'self'.
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
