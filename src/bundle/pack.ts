/** Makes a bundle of a model: everything that its answers depend on, and pictures with the answers of this machine. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { openClassifier, type ClassifierOptions } from '../classifier.js'
import { fileFaultOf, GapcamError, writeFaultOf } from '../errors.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import { huggingFaceFiles, type Manifest } from '../model/metadata/schema.js'
import { version as ownVersion } from '../version.js'
import type { BundleHead } from './archive.js'
import { answerOf, defaultTolerances } from './golden.js'
import { manifestBytes, readManifest, type BundleManifest, type GoldenPicture } from './manifest.js'
import { requireOwnFiles } from './models.js'

export interface PackOptions {
  readonly model: string
  readonly name: string
  readonly version: string
  readonly license: string
  /** Golden pictures, one to 64 files. */
  readonly pictures: readonly string[]
  /** Taught heads by name. */
  readonly heads: ReadonlyMap<string, string>
  /** How the model is read where its own manifest does not say: labels, input size, resize. */
  readonly reading: Pick<ClassifierOptions, 'labels' | 'inputSize' | 'resize'>
  readonly minimumGapcam?: string | undefined
}

type Files = Map<string, Uint8Array>

/**
 * Packs a model, unsigned. The golden answers are computed from the packed files, so a bundle that lacks a file is never made.
 * Rejects with MODEL_*, PICTURE_INVALID, BUNDLE_INVALID and USAGE.
 *
 *     const { head, files } = await packBundle({ model: 'gate.onnx', name: 'gate', version: '1.0.0', … })
 *     await writeFile('gate.gapcam', await bundleBytes(head, files))
 */
export async function packBundle(options: PackOptions): Promise<{ readonly head: BundleHead; readonly files: Files }> {
  const { name, version, license, pictures, heads } = options
  const files: Files = new Map()
  const model = await addModel(options, files)
  const headEntries: BundleManifest['heads'] = []
  for (const [head, path] of heads) {
    const packed = `heads/${head}${extname(path)}`
    files.set(packed, await contentOf(path))
    headEntries.push({ name: head, path: packed })
  }
  for (const [i, picture] of pictures.entries()) files.set(goldenName(picture, i), await contentOf(picture))
  const unproved: BundleManifest = {
    format: 1,
    name,
    version,
    license,
    minimumGapcam: options.minimumGapcam ?? ownVersion,
    model,
    heads: headEntries,
    golden: { tolerance: defaultTolerances, pictures: [] },
    files: [...files].map(([path, bytes]) => ({
      path,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })),
  }
  const golden = { tolerance: defaultTolerances, pictures: await answers(unproved, files, pictures) }
  const manifest: BundleManifest = { ...unproved, golden }
  const bytes = manifestBytes(manifest)
  return { head: { ...readManifest(bytes, `bundle ${name}`), bytes, signatures: [] }, files }
}

const goldenName = (picture: string, i: number): string => `golden/${i + 1}${extname(picture).toLowerCase()}`

async function contentOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new GapcamError('USAGE', `${path}: ${fileFaultOf(error)}`)
  }
}

/** Adds the model, its weights in other files, and a manifest that says what files beside the model said. Returns its name. */
async function addModel({ model: path, name, reading }: PackOptions, files: Files): Promise<string> {
  const loaded = await loadModel(path)
  const { manifest } = await findManifest(loaded)
  const classifier = await openClassifier({ model: path, ...reading })
  const { labels } = classifier
  await classifier.close()
  const isNamed = labels.some((label, i) => label !== `class ${i}`)
  const { inputSize, resize } = reading
  const own: Manifest = {
    ...manifest,
    ...(isNamed ? { labels: [...labels] } : {}),
    ...(inputSize ? { inputSize: [inputSize.height, inputSize.width] } : {}),
    ...(resize ? { resize } : {}),
  }
  const packed = `${name}${/\.(onnx|tflite|zip)$/i.exec(path)?.[0].toLowerCase() ?? '.onnx'}`
  files.set(packed, await contentOf(path))
  for (const { location, bytes } of loaded.externalFiles) files.set(location, bytes)
  for (const beside of huggingFaceFiles) {
    const bytes = await readFile(join(dirname(path), beside)).catch(() => null)
    if (bytes) files.set(beside, bytes)
  }
  files.set(`${name}.json`, new TextEncoder().encode(`${JSON.stringify(own, null, 1)}\n`))
  return packed
}

async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
}

function refuseTemporary(error: unknown): never {
  throw new GapcamError('BUNDLE_NOT_KEPT', `${tmpdir()} cannot be written: ${writeFaultOf(error)}`, {
    hint: 'A bundle is tried in a folder for temporary files. TMPDIR names another one.',
    cause: error,
  })
}

/** What the packed model says of the pictures. */
async function answers(manifest: BundleManifest, files: Files, pictures: readonly string[]): Promise<GoldenPicture[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gapcam-pack-')).catch(refuseTemporary)
  try {
    await writeFiles(folder, files).catch(refuseTemporary)
    await requireOwnFiles(manifest, folder)
    const classifier = await openClassifier({ model: join(folder, manifest.model) })
    try {
      const found: GoldenPicture[] = []
      for (const [i, picture] of pictures.entries()) {
        const path = goldenName(picture, i)
        found.push({ path, top: await answerOf(classifier, join(folder, path)) })
      }
      return found
    } finally {
      await classifier.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
