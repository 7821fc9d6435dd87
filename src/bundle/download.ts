/**
 * Bytes from a server of `models.sources`, bounded in size, and in the time in which nothing arrives. TLS is required except
 * from an address of this machine, also where the server redirects.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { isSafeAddress } from './source-address.js'

const idleLimitMs = 60_000

export interface Wanted {
  readonly mostBytes: number
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer whose body is read piece by piece. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Rejects after `mostBytes`, and where nothing has arrived for a minute. Left early, it ends the transfer. */
  readonly chunks: AsyncGenerator<Uint8Array>
}

/** Asks a server. Rejects where it cannot be reached, and for a redirect to an address without TLS. */
export async function ask(address: string, { mostBytes, headers = {} }: Wanted): Promise<Answer> {
  const stop = new AbortController()
  const late = (): void => stop.abort(new Error(`nothing has arrived for ${idleLimitMs / 1000} s`))
  let timer = setTimeout(late, idleLimitMs)
  let response: Response
  try {
    response = await fetch(address, { signal: stop.signal, redirect: 'follow', headers })
  } catch (error) {
    clearTimeout(timer)
    throw error
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let bytes = 0
    try {
      for await (const chunk of response.body ?? []) {
        clearTimeout(timer)
        timer = setTimeout(late, idleLimitMs)
        bytes += chunk.length
        if (bytes > mostBytes) throw new Error(`the server sends more than ${mostBytes} bytes`)
        yield chunk
      }
    } finally {
      clearTimeout(timer)
      stop.abort()
    }
  }
  const body = chunks()
  if (isSafeAddress(response.url)) return { status: response.status, headers: response.headers, chunks: body }
  clearTimeout(timer)
  stop.abort()
  throw new Error('the server redirects to an address without TLS')
}

/** A small body as a whole. */
export async function wholeOf({ chunks }: Answer): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

/** An answer that is no fault, or an error with its status. */
export async function good(asked: Promise<Answer>): Promise<Answer> {
  const answer = await asked
  if (answer.status >= 200 && answer.status < 300) return answer
  await answer.chunks.return(undefined)
  throw new Error(`the server answers ${answer.status}`)
}

/**
 * Writes a body to a new file, and checks its digest where one is wanted. Rejects with BUNDLE_NOT_KEPT where the disk takes no
 * more of it.
 */
export async function saveTo(file: string, { chunks }: Answer, sha256?: string): Promise<void> {
  const hash = createHash('sha256')
  const handle = await open(file, 'wx', 0o600)
  try {
    for await (const chunk of chunks) {
      hash.update(chunk)
      await handle.writeFile(chunk).catch((error: unknown) => {
        throw new GapcamError('BUNDLE_NOT_KEPT', `${file} cannot be written: ${writeFaultOf(error)}`, { cause: error })
      })
    }
  } finally {
    await handle.close()
  }
  const found = hash.digest('hex')
  if (sha256 !== undefined && found !== sha256) throw new Error(`the server sends bytes with the SHA-256 ${found}`)
}

/** What went wrong with a server, in words: fetch hides the cause of a failed connection. */
export function serverFaultOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`
}
