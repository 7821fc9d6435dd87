/** Requests to the API, with the token of the page. The token is kept for this browser tab only. */
const key = 'gapcam-token'

/** The token from the address (#token=…, which is removed from it at once), or the one typed in this tab; null without. */
export function readToken(): string | null {
  const [, given] = /(?:^#|&)token=([^&]+)/.exec(location.hash) ?? []
  if (given !== undefined) {
    keepToken(decodeURIComponent(given))
    history.replaceState(null, '', location.pathname)
  }
  return sessionStorage.getItem(key)
}

/** The address of a path of the API. The page may lie below a path of another server, as in Home Assistant's sidebar. */
export function addressOf(path: string): URL {
  return new URL(path.replace(/^\//, ''), document.baseURI)
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token)
}

/** A request that the API refused. `hint` says what to do; it may be empty. */
export class RequestError extends Error {
  readonly status: number
  readonly hint: string

  constructor(status: number, message: string, hint: string) {
    super(message)
    this.status = status
    this.hint = hint
  }
}

/** Sends a request, `body` as JSON. Rejects with RequestError for any status but 2xx. */
export async function request(method: string, path: string, body?: unknown): Promise<Response> {
  const token = readToken()
  const headers = new Headers({ 'x-gapcam': '1' })
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (token) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(addressOf(path), {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
  })
  if (response.ok) return response
  const { error } = (await response.json().catch(() => ({}))) as { error?: { message: string; hint: string } }
  throw new RequestError(response.status, error?.message ?? response.statusText, error?.hint ?? '')
}

export async function getJson<T>(path: string): Promise<T> {
  return (await (await request('GET', path)).json()) as T
}

export async function send<T>(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  return (await (await request(method, path, body)).json()) as T
}
