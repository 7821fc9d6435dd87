/** The form of `manifest.json` in a bundle: what the bundle holds, with the size and digest of each file. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'

/** The file that the signatures are about, first in the archive. */
export const manifestFile = 'manifest.json'
/** The file with the signatures, second in the archive where there are any. */
export const signaturesFile = 'signatures.json'
/** A larger manifest was made to be large. */
export const mostManifestBytes = 2 ** 20

const mostFiles = 1000
/** A model above this does not fit the boards that gapcam is for. */
const mostFileBytes = 2 ** 31

/** Names of bundles are names in topics and in the configuration. */
export const bundleName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must consist of a-z, 0-9 and -')

/** A file of the bundle: at most one folder deep, no hidden files, nothing that a shell or a file system reads in another way. */
const path = z
  .string()
  .max(200)
  .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*\/)?[A-Za-z0-9_][A-Za-z0-9_.-]*$/, {
    error: ({ input }) => `${JSON.stringify(input)} is not a plain name of a file`,
  })
  .refine((text) => text !== manifestFile && text !== signaturesFile, 'is reserved')

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest')

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`

const file = z.strictObject({
  path,
  size: z
    .int()
    .min(0)
    .max(mostFileBytes, {
      error: ({ input }) => `${gigabytes(Number(input))} is more than ${gigabytes(mostFileBytes)}`,
    }),
  sha256: digest,
})

const tolerance = z.number().min(0).max(1)

/** How far a score may lie from the expected one, by the engine that computes it. */
const tolerances = z.strictObject({ native: tolerance, cuda: tolerance, onnxruntime: tolerance })

const noPictures = 'a bundle needs golden pictures with their scores, and this one has none'

const golden = z.strictObject(
  {
    tolerance: tolerances,
    /** A picture, and the scores that it had where the bundle was made: the best labels, best first. */
    pictures: z
      .array(
        z.strictObject({
          path,
          top: z
            .array(z.strictObject({ label: z.string().max(1000), score: z.number() }))
            .min(1)
            .max(5),
        }),
      )
      .min(1, noPictures)
      .max(64),
  },
  { error: ({ code }) => (code === 'invalid_type' ? noPictures : undefined) },
)

/** The numbers of a version, most significant first. */
const versionNumbers = (text: string): number[] => text.split(/[.+-]/).slice(0, 3).map(Number)

const schema = z
  .strictObject({
    format: z.literal(1),
    name: bundleName,
    version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/, 'must be a version such as 1.2.0'),
    license: z.string().min(1).max(200),
    minimumGapcam: z.string().regex(/^\d+\.\d+\.\d+$/, 'must be a version such as 0.1.0'),
    model: path,
    /** Taught heads: each is a model of its own. */
    heads: z
      .array(z.strictObject({ name: bundleName, path }))
      .max(64)
      .default([]),
    golden,
    files: z.array(file).min(1).max(mostFiles),
  })
  .superRefine(({ files, model, heads, golden: { pictures } }, context) => {
    const names = files.map(({ path: name }) => name.toLowerCase())
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice !== undefined) context.addIssue({ code: 'custom', path: ['files'], message: `lists ${twice} twice` })
    for (const name of [model, ...heads.map((head) => head.path), ...pictures.map((picture) => picture.path)])
      if (!files.some((listed) => listed.path === name))
        context.addIssue({ code: 'custom', path: ['files'], message: `does not list ${name}` })
    const other = files.find(
      ({ path: name }) => /\.(onnx|tflite)$/i.test(name) && name !== model && !heads.some((head) => head.path === name),
    )
    if (other) context.addIssue({ code: 'custom', path: ['files'], message: `lists a second model, ${other.path}` })
  })

/** A validated manifest. */
export type BundleManifest = z.output<typeof schema>
export type BundleFile = z.output<typeof file>
export type GoldenPicture = BundleManifest['golden']['pictures'][number]
export type Tolerances = z.output<typeof tolerances>

/** A manifest with the digest that names the bundle: SHA-256 of the manifest's bytes, and through its list of everything. */
export interface ReadManifest {
  readonly manifest: BundleManifest
  readonly digest: string
}

/** Reads a manifest's bytes. Throws BUNDLE_INVALID; `name` is the bundle in its sentence. */
export function readManifest(bytes: Uint8Array, name: string): ReadManifest {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new GapcamError('BUNDLE_INVALID', `${name}: its manifest is not JSON: ${messageOf(error)}`)
  }
  const format = (value as { readonly format?: unknown } | null)?.format
  if (typeof format === 'number' && format > 1)
    throw new GapcamError('BUNDLE_INVALID', `${name}: it has format ${format}, which a later gapcam made`, {
      hint: 'Update gapcam, or pack the model with this version.',
    })
  const result = schema.safeParse(value)
  if (!result.success) {
    const issue = result.error.issues[0]!
    throw new GapcamError('BUNDLE_INVALID', `${name}: its manifest: ${issue.path.join('.')}: ${issue.message}`)
  }
  return { manifest: result.data, digest: createHash('sha256').update(bytes).digest('hex') }
}

/** The bytes of a manifest, the same for the same content. */
export function manifestBytes(manifest: BundleManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`)
}

/** Throws BUNDLE_INVALID where the bundle needs a later gapcam than `version`. */
export function requireVersion({ name, minimumGapcam }: BundleManifest, version: string): void {
  const [wanted, own] = [versionNumbers(minimumGapcam), versionNumbers(version)]
  const first = wanted.findIndex((number, i) => number !== own[i])
  if (first >= 0 && wanted[first]! > own[first]!)
    throw new GapcamError('BUNDLE_INVALID', `bundle ${name} needs gapcam ${minimumGapcam}; this is ${version}`, {
      hint: 'Update gapcam, or pack the model with this version.',
    })
}
