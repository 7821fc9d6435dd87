/**
 * A network camera's address, taken apart once. People paste addresses as they stand in a manual: with `#`, `/`, `?`, `@` or
 * a blank in the password that a URL would need to encode, or with the password in the path or query. This module decides
 * where the password is; everything that prints an address prints `shown`, which holds nothing that may be a secret.
 */

/** The parts of an address. */
export interface CameraAddress {
  /** In lower case, such as rtsp. */
  readonly scheme: string
  /** Plain text, not percent-encoded; null where the address has none. */
  readonly user: string | null
  readonly password: string | null
  /** A name, an IPv4 address, or an IPv6 address in brackets; empty for an address to listen on (udp://:5000). */
  readonly host: string
  readonly port: number | null
  /** Path and query as written, with blanks encoded. */
  readonly path: string
  /** The address with user and password percent-encoded: the form that other programs read. */
  readonly url: string
  /** The address for people: without user and password, and with (hidden) in place of what may be a secret. */
  readonly shown: string
  /** Texts that must not be printed: the password in each form, and secrets in the path and query. */
  readonly secrets: readonly string[]
}

/** Query keys whose values are settings of the stream. Every other value may be a secret and is not shown. */
const harmlessKeys =
  /^(?:channel|chn?|subtype|stream(?:type|index)?|profile|res(?:olution)?|fps|framerate|width|height|size|quality|cam(?:era)?|rotation|unicast|proto|transport(?:mode)?|(?:video)?codec(?:type)?|compression|seed|mode|pics|each)$/i
/** Keys of secrets as makers of cameras name them. */
const secretKey = '(?:[\\w.-]*(?:pass|pwd|psw|pas|token|secret|auth|api_?key|signature)[\\w.-]*?|p|pw|key|sig)'
const secretInText = new RegExp(`(?:^|[?&;/_])${secretKey}=([^&;/]*?)(?=_[a-z]+=|[&;/]|$)`, 'gi')

/**
 * The parts of an address, or null where the text is none.
 *
 *     parseCameraAddress('RTSP://admin:pa#s/s@192.168.1.20/live')?.shown // rtsp://192.168.1.20/live
 */
export function parseCameraAddress(text: string): CameraAddress | null {
  const [, scheme, rest] = /^\s*([a-z][a-z0-9+.-]*):\/\/(.*?)\s*$/is.exec(text) ?? []
  if (scheme === undefined || rest === undefined || /[\r\n]/.test(rest)) return null
  const at = userInfoEnd(rest)
  const userInfo = at === null ? '' : rest.slice(0, at)
  const [, host, digits, tail = ''] =
    /^(\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[^\s:/?#@[\]]*)(?::(\d{1,5}))?([/?#].*)?$/is.exec(
      rest.slice(at === null ? 0 : at + 1),
    ) ?? []
  const port = digits === undefined ? null : Number(digits)
  if (host === undefined || (host === '' && port === null) || (port !== null && port > 65_535)) return null
  const colon = userInfo.indexOf(':')
  const user = userInfo === '' ? null : plain(colon < 0 ? userInfo : userInfo.slice(0, colon))
  const written = colon < 0 ? null : userInfo.slice(colon + 1)
  const path = tail.replace(/\s/g, '%20')
  return addressOf({ scheme: scheme.toLowerCase(), user, written, host, port, path })
}

/** The address with another user and password, such as those of a password file. */
export function withCredentials(address: CameraAddress, user: string | null, password: string): CameraAddress {
  return addressOf({ ...address, user: user ?? address.user ?? '', written: encodeURIComponent(password) })
}

type Parts = Pick<CameraAddress, 'scheme' | 'user' | 'host' | 'port' | 'path'> & { readonly written: string | null }

function addressOf({ scheme, user, written, host, port, path }: Parts): CameraAddress {
  const password = written === null ? null : plain(written)
  const login =
    user === null ? '' : `${encodeURIComponent(user)}${password === null ? '' : `:${encodeURIComponent(password)}`}@`
  const server = `${host}${port === null ? '' : `:${port}`}`
  const hidden = [...path.matchAll(secretInText)].map(([, value = '']) => value)
  const forms = [password, written, ...hidden, ...hidden.map(plain)].filter((text) => text !== null && text !== '')
  return {
    scheme,
    user,
    password,
    host,
    port,
    path,
    url: `${scheme}://${login}${server}${path}`,
    shown: `${scheme}://${server}${shownPath(path)}`,
    secrets: [...new Set(forms as string[])],
  }
}

/**
 * Where user and password end, or null where there are none. By the standard that is the last @ in front of the first
 * /, ? or #. A password that holds one of these unencoded ends at a later @, unless what stands in front is plainly a host.
 */
function userInfoEnd(rest: string): number | null {
  const end = rest.search(/[/?#\s]/)
  const authority = end < 0 ? rest : rest.slice(0, end)
  const inAuthority = authority.lastIndexOf('@')
  const later = end < 0 ? null : laterEnd(rest, end)
  if (later === null || isPlainlyHost(authority.slice(inAuthority + 1))) return inAuthority < 0 ? null : inAuthority
  if (inAuthority >= 0 || /\s/.test(rest.charAt(end))) return later
  return authority.includes(':') ? later : null
}

/** The @ behind `from` that stands in front of a host: rather one with a dot than a bare name. */
function laterEnd(rest: string, from: number): number | null {
  const ends = [...rest.matchAll(/@(?=(?:\[[^\]]+\]|[^\s/?#:@[\]]+)(?::\d{1,5})?(?:[/?#]|$))/g)]
    .map(({ index }) => index)
    .filter((index) => index > from)
  const host = (index: number): string => /^[^/?#]*/.exec(rest.slice(index + 1))![0]
  return ends.findLast((index) => isPlainlyHost(host(index))) ?? ends.at(-1) ?? null
}

function isPlainlyHost(text: string): boolean {
  return /^(?:\[[0-9a-f:.]+\]|localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d{1,5})?$/i.test(text)
}

/** A path without what may be a secret: values of queries, assignments in the path, long random words. */
function shownPath(path: string): string {
  if (path.includes('@')) return '/(hidden)'
  const [, steps = '', query] = /^([^?#]*)(?:[?#](.*))?$/s.exec(path) ?? []
  const shown = steps
    .split('/')
    .map((step) => (step.includes('=') || isRandom(step) ? '(hidden)' : step))
    .join('/')
  return query === undefined ? shown : `${shown}?${query.split(/[&;]/).map(shownPair).join('&')}`
}

function shownPair(pair: string): string {
  const equals = pair.indexOf('=')
  if (equals < 0) return pair.length < 12 && harmlessKeys.test(pair) ? pair : '(hidden)'
  const [key, value] = [pair.slice(0, equals), pair.slice(equals + 1)]
  return harmlessKeys.test(key) && !isRandom(value) ? pair : `${key}=(hidden)`
}

/** A word like the stream keys that some recorders put into paths. */
function isRandom(word: string): boolean {
  return word.length >= 12 && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word)
}

/** Percent-decoded; a % that begins no escape is itself. */
function plain(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
