/** How the places of `models.sources` are written: a folder, an https address, or a repository of an OCI registry. */
import { isIP } from 'node:net'

/** A repository: all of its tags, or one tag or digest. */
export interface Repository {
  /** Such as https://registry.example:5000. */
  readonly base: string
  /** Such as gapcam/gate. */
  readonly name: string
  /** A tag or `sha256:…`; null: all tags. */
  readonly reference: string | null
}

/** The names of the distribution specification. */
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const form = new RegExp(
  `^oci://([^/@\\s]+)/(${component}(?:/${component})*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@(sha256:[0-9a-f]{64}))?$`,
)

/** Reads `oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:DIGEST]`; null: it is none. */
export function repositoryOf(source: string): Repository | null {
  const [, host, name, tag, digest] = form.exec(source) ?? []
  if (host === undefined || name === undefined || !URL.canParse(`https://${host}`)) return null
  const { hostname } = new URL(`https://${host}`)
  const base = `${isThisMachine(hostname) ? 'http' : 'https'}://${host}`
  return { base, name, reference: tag ?? digest ?? null }
}

/** Whether bytes from an address come from who it names: by TLS, or from this machine. */
export function isSafeAddress(address: string): boolean {
  const url = URL.canParse(address) ? new URL(address) : null
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname))
}

/** Whether a host's name means this machine. */
export function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** What is wrong with an entry of `models.sources`, in one sentence; null: it can be asked. */
export function sourceFaultOf(source: string): string | null {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(source)?.[1]
  if (scheme === undefined) return null
  if (scheme === 'oci')
    return repositoryOf(source)
      ? null
      : 'expected oci://HOST/REPOSITORY, with :TAG or @sha256:DIGEST where only one is wanted'
  return isSafeAddress(source) ? null : `expected a folder, https:// or oci:// but received ${scheme}://`
}
