/**
 * Secrets: where they come from, and that they never leave. Whoever learns one tells it here; everything that gapcam
 * writes about itself (log, errors, banner, `config show`) goes through `redact`.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Parts of a text that are no secret however short they are would be hidden too, if these were searched for. */
const leastLength = 4
const known = new Set<string>()

/** Whatever holds this value will be shown without it, plain or as part of a URL or of JSON. */
export function keepSecret(value: string | undefined): void {
  if (value === undefined || value.length < leastLength) return
  for (const form of [value, encodeURIComponent(value), encodeURI(value), JSON.stringify(value).slice(1, -1)])
    known.add(form)
}

/** Learns the secrets that a URL carries, in whatever form they are written there. */
export function keepSecretsOf(url: string): void {
  const [, userInfo] = /^[\w+.-]+:\/\/([^/?#\s]*)@/.exec(url) ?? []
  const password = userInfo?.slice(userInfo.indexOf(':') + 1)
  if (password === undefined || !userInfo?.includes(':')) return
  keepSecret(password)
  try {
    keepSecret(decodeURIComponent(password))
  } catch {
    // A % that begins no escape: the password is what is written.
  }
}

/** The text without secrets: those that are known, user and password of any URL, and what looks like a password in its query or in a pipeline. */
export function redact(text: string): string {
  let shown = text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s"'<>]*@/gi, '$1')
    .replace(/([?&;][\w.-]*(?:pass|pwd|token|secret|auth|api_?key)[\w.-]*=)[^&#\s"']+/gi, '$1(hidden)')
    .replace(/\b((?:user-pw|password|proxy-pw)=)("[^"]*"|\S+)/gi, '$1(hidden)')
  for (const secret of known) if (shown.includes(secret)) shown = shown.replaceAll(secret, '(hidden)')
  return shown
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

/** Also one that may not be looked at: whoever reads it says so. */
function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false
  } catch {
    return true
  }
}

/** A secret's file without the line break that editors leave; the value is kept secret from then on. Throws what reading throws. */
export function readSecret(file: string): string {
  const value = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '')
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
    return 0 // in a folder that is closed to us, and so to others
  }
}
