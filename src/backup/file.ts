/**
 * The file of a backup: an uncompressed tar with `backup.json`, which names the node and lists every other file with its size
 * and digest. Whatever is read from one is checked before anything is written.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { packTar, unpackTar, type ParsedTarEntryWithData } from 'modern-tar'
import { z } from 'zod'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'

const headFile = 'backup.json'
const digest = z.string().regex(/^[0-9a-f]{64}$/)
/** Plain names, at most four folders deep. A state's pictures and vectors have such names. */
const path = z
  .string()
  .max(400)
  .regex(/^(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*\/){0,4}[A-Za-z0-9_-][A-Za-z0-9_.-]*$/, 'is not a plain name of a file')

const head = z.strictObject({
  format: z.literal(1),
  /** The version that made it, for people. */
  gapcam: z.string().max(64),
  node: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  madeAt: z.string().max(64),
  /** The number of the last event; null where none was kept on disk. */
  lastEvent: z.int().min(0).nullable(),
  /** What was installed: bundles are not in a backup. */
  bundles: z.array(z.strictObject({ name: z.string().max(64), version: z.string().max(64), digest })).max(1000),
  files: z.array(z.strictObject({ path, size: z.int().min(0), sha256: digest })).max(200_000),
})

/** What a backup says of itself. */
export type BackupHead = z.output<typeof head>
/** Files by their path in the backup. */
export type BackupFiles = ReadonlyMap<string, Uint8Array>

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The bytes of a tar of plain files. */
export function tarOf(files: BackupFiles): Promise<Uint8Array> {
  const mtime = new Date(0)
  return packTar(
    [...files].map(([name, body]) => ({
      header: { name, size: body.length, mtime, mode: 0o600, type: 'file' as const },
      body,
    })),
  )
}

/** The files of a tar whose names are plain. Throws BACKUP_INVALID. */
export async function filesOf(tar: Uint8Array, what: string): Promise<BackupFiles> {
  let entries: readonly ParsedTarEntryWithData[]
  try {
    entries = await unpackTar(tar, { strict: true })
  } catch (error) {
    throw invalid(what, `it is no whole tar archive: ${messageOf(error)}`)
  }
  const files = new Map<string, Uint8Array>()
  for (const { header, data } of entries) {
    const { name, type = 'file' } = header
    if (type !== 'file') throw invalid(what, `${name} is a ${type}; a backup holds plain files only`)
    if (!path.safeParse(name).success) throw invalid(what, `${JSON.stringify(name)} is not a plain name of a file`)
    if (files.has(name)) throw invalid(what, `${name} is there twice`)
    files.set(name, data ?? new Uint8Array())
  }
  return files
}

const invalid = (what: string, why: string): GapcamError => new GapcamError('BACKUP_INVALID', `${what}: ${why}`)

/** The bytes of a backup. */
export function backupBytes(about: Omit<BackupHead, 'format' | 'files'>, files: BackupFiles): Promise<Uint8Array> {
  const listed = [...files].map(([name, bytes]) => ({ path: name, size: bytes.length, sha256: sha256(bytes) }))
  const whole: BackupHead = { format: 1, ...about, files: listed }
  return tarOf(new Map([[headFile, new TextEncoder().encode(`${JSON.stringify(whole, null, 1)}\n`)], ...files]))
}

/** Reads a backup whole and checks it. Rejects with BACKUP_INVALID. */
export async function readBackup(file: string): Promise<{ readonly head: BackupHead; readonly files: BackupFiles }> {
  const what = `backup ${file}`
  const bytes = await readFile(file).catch((error: unknown) => {
    throw invalid(what, fileFaultOf(error))
  })
  const { [headFile]: text, ...rest } = Object.fromEntries(await filesOf(bytes, what))
  if (!text) throw invalid(what, `it holds no ${headFile}`)
  const about = readHead(text, what)
  const files = new Map(Object.entries(rest))
  for (const { path: name, size, sha256: wanted } of about.files) {
    const found = files.get(name)
    if (!found) throw invalid(what, `${name} is missing`)
    if (found.length !== size || sha256(found) !== wanted) throw invalid(what, `${name} is damaged`)
  }
  const stray = [...files.keys()].find((name) => !about.files.some((listed) => listed.path === name))
  if (stray !== undefined) throw invalid(what, `${stray} is not in its list`)
  return { head: about, files }
}

function readHead(text: Uint8Array, what: string): BackupHead {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(text))
  } catch (error) {
    throw invalid(what, `${headFile} is not JSON: ${messageOf(error)}`)
  }
  const format = (value as { readonly format?: unknown } | null)?.format
  if (typeof format === 'number' && format > 1)
    throw new GapcamError('BACKUP_INVALID', `${what}: it has format ${format}, which a later gapcam made`, {
      hint: 'Update gapcam on this board.',
    })
  const result = head.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw invalid(what, `${headFile}: ${issue.path.join('.')}: ${issue.message}`)
}
