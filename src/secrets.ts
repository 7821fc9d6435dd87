/**
 * Secrets: reads them and keeps them out of the output. Code that learns a secret registers it here; everything that
 * gapcam writes about itself (log, errors, banner, `config show`) goes through `redact`.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseCameraAddress, type CameraAddress } from './address/camera.js'

/** Shorter secrets are not masked: replacing them would garble ordinary text. */
const leastLength = 4
const known = new Set<string>()
/** Addresses that hold secrets, each with the text that is printed in its place. */
const shownInstead = new Map<string, string>()

/** From now on `redact` masks this value, plain and as part of a URL or of JSON. */
export function keepSecret(value: string | undefined): void {
  if (value === undefined || value.length < leastLength) return
  for (const form of [value, encodeURIComponent(value), encodeURI(value), JSON.stringify(value).slice(1, -1)])
    known.add(form)
}

/**
 * Learns what must not be shown of an address: its secrets, and the address itself, in whose place `shown` is printed.
 */
export function keepSecretsOf(url: string): void {
  const address = parseCameraAddress(url)
  if (!address) {
    const [, scheme] = /^\s*([\w+.-]+:\/\/)[^/].*@/s.exec(url) ?? []
    if (scheme !== undefined) shownInstead.set(url.trim(), `${scheme}(hidden)`)
    return
  }
  for (const secret of address.secrets) keepSecret(secret)
  for (const text of [url.trim(), address.url]) if (text !== address.shown) shownInstead.set(text, address.shown)
}

/**
 * An address for people: without user, password and what else may be a secret. Other text comes back as `redact` has
 * it.
 */
export function shownAddress(source: string): string {
  return parseCameraAddress(source)?.shown ?? redact(source)
}

/**
 * The text without secrets: those that are known, user and password of any URL, and what looks like a password in its
 * query or in a pipeline.
 */
export function redact(text: string): string {
  let shown = text
  for (const [address, instead] of shownInstead) if (shown.includes(address)) shown = shown.replaceAll(address, instead)
  shown = shown
    .replace(/[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi, withoutLogin)
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s"'<>]*@/gi, '$1')
    .replace(
      /([?&;][\w.-]*(?:pass|pwd|psw|pas|token|secret|auth|api_?key)[\w.-]*=|[?&;](?:p|pw)=)[^&#\s"']+/gi,
      '$1(hidden)',
    )
    .replace(/([/_](?:password|passwd|pass|pwd)=)[^&#\s"'/]*?(?=_[a-z]+=|[&#\s"'/]|$)/gi, '$1(hidden)')
    .replace(/\b((?:user-pw|password|proxy-pw)=)("[^"]*"|[^\s(][^\s]*)/gi, '$1(hidden)')
  for (const secret of known) if (shown.includes(secret)) shown = shown.replaceAll(secret, '(hidden)')
  return shown
}

/** A URL in a text without user and password, which may hold characters that a URL would have to encode. */
function withoutLogin(url: string): string {
  const address = parseCameraAddress(url)
  return address === null || address.user === null ? url : url.slice(0, url.indexOf('://') + 3) + serverOf(address)
}

function serverOf({ host, port, path }: CameraAddress): string {
  return `${host}${port === null ? '' : `:${port}`}${path}`
}

/** Any value with the texts in it redacted. */
export function redactDeep(value: unknown): unknown {
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return value.map(redactDeep)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, redactDeep(held)]))
}

/**
 * The file that a service manager has put a secret into: systemd's credentials ($CREDENTIALS_DIRECTORY), else a
 * container's (/run/secrets); null where there is none of this name.
 */
export function credentialFile(
  name: string,
  environment: NodeJS.ProcessEnv,
  containerFolder = '/run/secrets',
): string | null {
  const folders = [environment['CREDENTIALS_DIRECTORY'], containerFolder].filter(
    (folder) => folder !== undefined && folder !== '',
  )
  return folders.map((folder) => join(folder!, name)).find(isThere) ?? null
}

/** True also for a file that we may not look at: reading it gives the error that says why. */
function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false
  } catch {
    return true
  }
}

/**
 * The content of a secret's file, without the byte order mark and the line break that editors add; registered as a
 * secret. Throws what reading throws, and an error for UTF-16, which some editors write.
 */
export function readSecret(file: string): string {
  const bytes = readFileSync(file)
  const mark = bytes.subarray(0, 2).toString('hex')
  if (mark === 'fffe' || mark === 'feff') throw new Error('it is UTF-16 text; save it as UTF-8')
  const value = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .replace(/[\r\n]+$/, '')
  keepSecret(value)
  return value
}

/** One sentence where every user of this machine can read a secret's file; null where not. */
export function openToAll(file: string): string | null {
  const mode = modeOf(file)
  return mode % 8 < 4 ? null : `${file} holds a secret and every user can read it: chmod o-r ${file}`
}

function modeOf(file: string): number {
  try {
    return statSync(file, { throwIfNoEntry: false })?.mode ?? 0
  } catch {
    return 0 // its folder is closed to us
  }
}
