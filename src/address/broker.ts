/**
 * A broker's address, taken apart once: `mqtts://user:password@host:8883/path`. Libraries disagree about passwords with
 * `:`, `%`, `@` or `#`; here the rules are those of RFC 3986, and an address that breaks them is refused. A refusal
 * never repeats any part of the address, since that part may be a password. (camera.ts is more lenient.)
 */

/** The parts of an address, with user and password decoded. */
interface Address {
  /** In lower case, without `:`. */
  readonly scheme: string
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port?: number | undefined
  /** Path and query as they are written; may be empty. */
  readonly rest: string
}

/** The address, or why the text is none, as a clause that goes behind `the address cannot be used: `. */
type Taken = { readonly address: Address } | { readonly fault: string }

/**
 * Takes an address apart. The password begins at the first `:` of `user:password@`.
 */
function takeApart(text: string): Taken {
  const [, scheme, afterScheme] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? []
  if (scheme === undefined || afterScheme === undefined) return { fault: 'it does not begin with a scheme and ://' }
  const end = afterScheme.search(/[/?#]/)
  const authority = end < 0 ? afterScheme : afterScheme.slice(0, end)
  const rest = end < 0 ? '' : afterScheme.slice(end)
  if (rest.includes('@'))
    return {
      fault:
        'a /, ? or # comes before an @; in a user or password write them as %2F, %3F and %23, and an @ elsewhere as %40',
    }
  if (rest.includes('#')) return { fault: 'it has a #; in a password write it as %23' }
  const at = authority.lastIndexOf('@')
  const hostAndPort = /^(\[[\da-f:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i.exec(authority.slice(at + 1))
  if (!hostAndPort) return { fault: hostFault(authority.slice(at + 1), at >= 0) }
  const [, host, port] = hostAndPort
  if (port !== undefined && Number(port) > 65_535) return { fault: 'its port is above 65535' }
  const credentials = at < 0 ? { user: undefined, password: undefined } : credentialsOf(authority.slice(0, at))
  if (credentials === null)
    return { fault: 'a % in its user or password is not followed by two hex digits; write it as %25' }
  return {
    address: {
      scheme: scheme.toLowerCase(),
      ...credentials,
      host: host!.replace(/^\[|\]$/g, ''),
      port: port === undefined ? undefined : Number(port),
      rest,
    },
  }
}

function hostFault(hostAndPort: string, hasUser: boolean): string {
  if (hostAndPort === '' || hostAndPort.startsWith(':')) return 'it has no host'
  return hasUser
    ? 'its host or port cannot be read'
    : 'its host or port cannot be read, and no @ stands before the host'
}

/** Null for a `%` that begins no escape. An empty part counts as absent. */
function credentialsOf(userInfo: string): Pick<Address, 'user' | 'password'> | null {
  const colon = userInfo.indexOf(':')
  const [user, password] = colon < 0 ? [userInfo, ''] : [userInfo.slice(0, colon), userInfo.slice(colon + 1)]
  try {
    return { user: decodeURIComponent(user) || undefined, password: decodeURIComponent(password) || undefined }
  } catch {
    return null
  }
}

/** The address without user and password, as it may be shown. */
export function plainAddress({ scheme, host, port, rest }: Address): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `${scheme}://${name}${port === undefined ? '' : `:${port}`}${rest === '/' ? '' : rest}`
}

/** How a broker can be reached, with the port where an address names none. */
export const brokerSchemes: Readonly<Record<string, { readonly port: number; readonly isEncrypted: boolean }>> = {
  mqtt: { port: 1883, isEncrypted: false },
  mqtts: { port: 8883, isEncrypted: true },
  tcp: { port: 1883, isEncrypted: false },
  ssl: { port: 8883, isEncrypted: true },
  ws: { port: 80, isEncrypted: false },
  wss: { port: 443, isEncrypted: true },
}

/**
 * Takes a broker's address apart. Only the schemes of `brokerSchemes` are accepted.
 *
 *     takeBrokerApart('mqtt://me:a:b@host:1884')  // { address: { scheme: 'mqtt', user: 'me', password: 'a:b', host: 'host', port: 1884, rest: '' } }
 *     takeBrokerApart('mqtt://me:100%@host')      // { fault: 'a % in its user or password is not followed by two hex digits; write it as %25' }
 */
export function takeBrokerApart(text: string): Taken {
  const taken = takeApart(text)
  if ('fault' in taken || taken.address.scheme in brokerSchemes) return taken
  return { fault: 'its scheme is none of mqtt://, mqtts://, ws:// and wss://' }
}

/** The options that have a meaning only with an encrypted address. */
export const tlsOptionNames = ['ca', 'cert', 'key', 'servername', 'insecure'] as const

/** Why such an option is refused. Connecting without encryption would send the password in clear. */
export function notEncrypted(plain: string): string {
  return `needs an encrypted connection, but ${plain} is not encrypted: write ${plain.startsWith('ws') ? 'wss' : 'mqtts'}:// in mqtt.broker, or remove this key`
}
