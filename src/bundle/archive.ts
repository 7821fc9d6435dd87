/**
 * The file of a bundle: an uncompressed tar with the manifest, its signatures, then exactly the files that the manifest lists.
 * Whatever is read from one is checked while it is read; nothing is written outside the given folder.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { createTarDecoder, packTar, type ParsedTarEntry } from 'modern-tar'
import { fileFaultOf, GapcamError, messageOf, writeFaultOf } from '../errors.js'
import {
  manifestFile,
  mostManifestBytes,
  readManifest,
  signaturesFile,
  type BundleFile,
  type ReadManifest,
} from './manifest.js'
import { mostSignatureBytes, readSignatures, signatureBytes, type Signature } from './signature.js'

/** What a bundle says of itself. */
export interface BundleHead extends ReadManifest {
  /** As they are signed. */
  readonly bytes: Uint8Array
  readonly signatures: readonly Signature[]
}

/** The bytes of a bundle, the same for the same content. `files` holds what the manifest lists, by path. */
export async function bundleBytes(
  { bytes, signatures, manifest }: BundleHead,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<Uint8Array> {
  const entries: [string, Uint8Array][] = [
    [manifestFile, bytes],
    ...(signatures.length > 0 ? [[signaturesFile, signatureBytes(signatures)] as [string, Uint8Array]] : []),
    ...manifest.files.map(({ path }): [string, Uint8Array] => [path, files.get(path)!]),
  ]
  const mtime = new Date(0)
  return packTar(
    entries.map(([name, body]) => ({
      header: { name, size: body.length, mtime, mode: 0o644, type: 'file' as const },
      body,
    })),
  )
}

type Chunks = AsyncIterable<Uint8Array>

const damaged = (name: string, why: string): GapcamError => new GapcamError('BUNDLE_INVALID', `bundle ${name}: ${why}`)

async function* entriesOf(file: string): AsyncGenerator<ParsedTarEntry> {
  const source = createReadStream(file)
  const decoder = createTarDecoder({ strict: true })
  try {
    const bytes = Readable.toWeb(source) as ReadableStream<Uint8Array>
    for await (const entry of bytes.pipeThrough(decoder as never) as ReadableStream<ParsedTarEntry>) yield entry
  } finally {
    source.destroy()
  }
}

/** A small entry in memory. */
async function contentOf({ header, body }: ParsedTarEntry, most: number, bundle: string): Promise<Uint8Array> {
  if (header.size > most)
    throw damaged(bundle, `${header.name} claims ${header.size} bytes; at most ${most} are allowed`)
  const chunks: Uint8Array[] = []
  for await (const chunk of body as unknown as Chunks) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function requirePlain({ header: { name, type } }: ParsedTarEntry, bundle: string): void {
  if (type !== undefined && type !== 'file')
    throw damaged(bundle, `${name} is a ${type}; a bundle holds plain files only`)
}

/** Receives each file of the bundle, after its head. */
type Take = (file: BundleFile, body: Chunks) => Promise<void>

/**
 * Reads a bundle to its end. `check` may refuse its head before any file is read. Rejects with BUNDLE_INVALID, and with
 * whatever `check` and `take` reject with.
 */
async function walk(file: string, check: (head: BundleHead) => void | Promise<void>, take: Take): Promise<BundleHead> {
  let head: BundleHead | null = null
  let pending: { read: ReadManifest; bytes: Uint8Array } | null = null
  const missing = new Map<string, BundleFile>()
  const begin = async (read: ReadManifest, bytes: Uint8Array, signatures: readonly Signature[]): Promise<void> => {
    head = { ...read, bytes, signatures }
    for (const listed of read.manifest.files) missing.set(listed.path, listed)
    await check(head)
  }
  for await (const entry of entriesOf(file)) {
    requirePlain(entry, file)
    const { name, size } = entry.header
    if (!pending) {
      if (name !== manifestFile) throw damaged(file, `it begins with ${name}, not with ${manifestFile}`)
      const bytes = await contentOf(entry, mostManifestBytes, file)
      pending = { read: readManifest(bytes, `bundle ${file}`), bytes }
      continue
    }
    if (name === signaturesFile && !head) {
      const signatures = readSignatures(await contentOf(entry, mostSignatureBytes, file), `bundle ${file}`)
      await begin(pending.read, pending.bytes, signatures)
      continue
    }
    if (!head) await begin(pending.read, pending.bytes, [])
    const listed = missing.get(name)
    if (!listed) throw damaged(file, `${name} is not in its manifest, or is there twice`)
    if (size !== listed.size) throw damaged(file, `${name} has ${size} bytes; the manifest says ${listed.size}`)
    missing.delete(name)
    await take(listed, entry.body as unknown as Chunks)
  }
  if (!pending) throw damaged(file, 'it is empty')
  if (!head) await begin(pending.read, pending.bytes, [])
  const [absent] = missing.keys()
  if (absent !== undefined) throw damaged(file, `${absent} is missing`)
  return head!
}

/** Runs `work` on a bundle; faults of the file and of the tar format become BUNDLE_INVALID. */
async function guarded<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GapcamError) throw error
    const { syscall, code } = (error ?? {}) as NodeJS.ErrnoException
    if (syscall !== undefined && code !== undefined)
      throw new GapcamError('BUNDLE_INVALID', `bundle ${file}: ${fileFaultOf(error)}`, { cause: error })
    throw damaged(file, `it is no whole tar archive: ${messageOf(error)}`)
  }
}

async function hashed(
  file: BundleFile,
  body: Chunks,
  bundle: string,
  each: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const hash: Hash = createHash('sha256')
  for await (const chunk of body) {
    hash.update(chunk)
    await each(chunk)
  }
  if (hash.digest('hex') !== file.sha256)
    throw damaged(bundle, `${file.path} has another SHA-256 than the manifest says`)
}

/** Refuses a bundle that claims more than it holds before anything is written. */
async function requireSize({ manifest }: BundleHead, file: string): Promise<void> {
  const [{ size }, claimed] = [await stat(file), manifest.files.reduce((sum, listed) => sum + listed.size, 0)]
  if (claimed > size) throw damaged(file, `its manifest claims ${claimed} bytes, and the file has ${size}`)
}

/** Reads a bundle's head and every file in it, and checks all digests. Files are kept where `keep` is set. */
export function readBundle(
  file: string,
  keep = false,
): Promise<{ readonly head: BundleHead; readonly files: ReadonlyMap<string, Uint8Array> }> {
  return guarded(file, async () => {
    const files = new Map<string, Uint8Array>()
    const head = await walk(
      file,
      (found) => requireSize(found, file),
      async (listed, body) => {
        const chunks: Uint8Array[] = []
        await hashed(listed, body, file, (chunk) => {
          if (keep) chunks.push(chunk)
          return Promise.resolve()
        })
        if (keep) files.set(listed.path, Buffer.concat(chunks))
      },
    )
    return { head, files }
  })
}

/** Reads what a bundle says of itself, and none of its files. Rejects with BUNDLE_INVALID. */
export function readBundleHead(file: string): Promise<BundleHead> {
  return guarded(file, async () => {
    let begun: { readonly read: ReadManifest; readonly bytes: Uint8Array } | null = null
    for await (const entry of entriesOf(file)) {
      requirePlain(entry, file)
      const { name } = entry.header
      if (begun) {
        const signatures =
          name === signaturesFile
            ? readSignatures(await contentOf(entry, mostSignatureBytes, file), `bundle ${file}`)
            : []
        return { ...begun.read, bytes: begun.bytes, signatures }
      }
      if (name !== manifestFile) throw damaged(file, `it begins with ${name}, not with ${manifestFile}`)
      const bytes = await contentOf(entry, mostManifestBytes, file)
      begun = { read: readManifest(bytes, `bundle ${file}`), bytes }
    }
    throw damaged(file, 'it holds no files')
  })
}

/**
 * Unpacks a bundle into `folder`, which must exist and be empty, with its manifest and signatures. Every file is on the disk
 * when it resolves. `check` may refuse the head before anything is written.
 */
export function unpackBundle(
  file: string,
  folder: string,
  check: (head: BundleHead) => void | Promise<void>,
): Promise<BundleHead> {
  return guarded(file, async () => {
    const head = await walk(
      file,
      async (found) => {
        await requireSize(found, file)
        await check(found)
      },
      async (listed, body) => {
        await mkdir(dirname(join(folder, listed.path)), { recursive: true })
        await written(join(folder, listed.path), (handle) =>
          hashed(listed, body, file, async (chunk) => void (await handle.writeFile(chunk))),
        )
      },
    )
    await written(join(folder, manifestFile), (handle) => handle.writeFile(head.bytes))
    await written(join(folder, signaturesFile), (handle) => handle.writeFile(signatureBytes(head.signatures)))
    for (const path of new Set(head.manifest.files.map((listed) => dirname(join(folder, listed.path)))))
      await syncFolder(path)
    await syncFolder(folder)
    return head
  })
}

async function written(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    const handle = await open(path, 'wx', 0o644)
    try {
      await write(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw new GapcamError('BUNDLE_NOT_KEPT', `${path} cannot be written: ${writeFaultOf(error)}`, { cause: error })
  }
}

/** Puts the names in a folder on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
