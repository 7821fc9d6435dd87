/** Pictures of the API as images. A browser cannot send a token with an image, so with one they are fetched first. */
import { addressOf, readToken, request } from './api.js'
import { el } from './dom.js'

/** An image that loads when it comes into view. */
export function thumbnail(path: string, words: string): HTMLImageElement {
  const image = el('img', { alt: words, loading: 'lazy', decoding: 'async' })
  if (readToken() === null) image.src = addressOf(path).href
  else void fetchInto(image, path)
  return image
}

/** What a picture is called and how sure that is, below it: a long name is cut, the score is not. */
export function called(name: string, score: number | null, isWrong = false): HTMLElement {
  const value = score === null ? [] : [' ', el('span', {}, score.toFixed(2))]
  return el('span', { class: isWrong ? 'called is-wrong' : 'called' }, el('span', { class: 'name' }, name), ...value)
}

async function fetchInto(image: HTMLImageElement, path: string): Promise<void> {
  const response = await request('GET', path).catch(() => null)
  if (!response) return
  image.addEventListener('load', () => URL.revokeObjectURL(image.src), { once: true })
  image.src = URL.createObjectURL(await response.blob())
}

/** Saves an answer of the API as a file, under the name that the API gives. */
export async function saveFile(path: string, otherName: string): Promise<void> {
  const response = await request('GET', path)
  const [, name] = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '') ?? []
  const url = URL.createObjectURL(await response.blob())
  el('a', { href: url, download: name ?? otherName }).click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
