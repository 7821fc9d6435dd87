/** `gapcam model pack|sign|verify`: makes a bundle of a model, signs it, and says whether one is genuine. */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { bundleBytes, readBundle, type BundleHead } from '../bundle/archive.js'
import { builtInName } from '../bundle/store.js'
import { bundleName } from '../bundle/manifest.js'
import { packBundle } from '../bundle/pack.js'
import { signerOf, signManifest } from '../bundle/signature.js'
import { judgeSignatures } from '../bundle/trust.js'
import { picturesIn } from '../camera/pictures.js'
import { modelOptions } from '../config/model.js'
import { GapcamError, writeFaultOf } from '../errors.js'
import { trustOf } from './bundle-store.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'

/** The pictures that come with gapcam: an answer to any picture shows whether an engine computes as it should. */
const ownPictures = fileURLToPath(new URL('../../models/photos/', import.meta.url))
/** Enough to reveal a wrong engine or preprocessing, and quick on a small board. */
const defaultPictures = 4

/** Of the model that comes with gapcam: models/README.md. */
const ownLicense = 'Apache-2.0'

/** Adds the commands to `model`. */
export function addModelBundle(model: Command): void {
  const pack = model
    .command('pack')
    .description('make a bundle of a model: one file with everything that it needs, and pictures with its answers')
    .argument('[file]', 'ONNX or TFLite file; default the model that comes with gapcam')
    .requiredOption('-o, --output <file>', 'the bundle to write, such as gate-1.0.0.gapcam')
    .option('--name <name>', 'name of the bundle: a-z, 0-9 and -; default the name of the file')
    .option('--bundle-version <version>', 'version of the bundle', '1.0.0')
    .option('--license <name>', "the model's licence, such as Apache-2.0")
    .option('--pictures <dir>', 'pictures whose answers every board must reproduce; default those of gapcam')
    .option('--most <n>', 'use at most this many pictures', String(defaultPictures))
    .option('--head <name=file>', 'add a taught model; may be repeated', collectHead)
    .option('--key <file>', 'sign with this private key (PEM, Ed25519)')
  addFlags(pack, ['labels', 'inputSize', 'json', 'logLevel']).action((file: string | undefined, values: FlagValues) =>
    packFile(file, values),
  )
  model
    .command('sign')
    .description('sign a bundle; signatures of other keys stay')
    .argument('<bundle>', 'the bundle, which is replaced')
    .requiredOption('--key <file>', 'private key (PEM, Ed25519)')
    .option('--json', 'one JSON object')
    .action((bundle: string, values: FlagValues) => signFile(bundle, values))
  const verify = model
    .command('verify')
    .description('check a bundle: form, digests, signatures')
    .argument('<bundle>', 'the bundle')
  addFlags(verify, ['json', 'logLevel']).action((bundle: string, values: FlagValues) => verifyFile(bundle, values))
}

function collectHead(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const at = text.indexOf('=')
  const name = text.slice(0, Math.max(at, 0))
  if (!bundleName.safeParse(name).success || at + 1 === text.length)
    throw new GapcamError('USAGE', `--head: expected NAME=FILE but received ${text}`)
  return new Map([...before, [name, text.slice(at + 1)]])
}

async function packFile(file: string | undefined, values: FlagValues): Promise<void> {
  const { config } = configFrom({ ...values, ...(file === undefined ? {} : { model: file }) })
  const { model, labels, inputSize } = modelOptions(config)
  const name = (values['name'] as string | undefined) ?? nameOf(file)
  if (!bundleName.safeParse(name).success)
    throw new GapcamError('USAGE', `${name} cannot be the name of a bundle`, {
      hint: 'Give --name with a-z, 0-9 and -.',
    })
  const most = Number(values['most'])
  if (!(Number.isInteger(most) && most >= 1 && most <= 64))
    throw new GapcamError('USAGE', `--most: expected a number from 1 to 64 but received ${String(values['most'])}`)
  const pictures = (await picturesIn((values['pictures'] as string | undefined) ?? ownPictures)).slice(0, most)
  const packed = await packBundle({
    model,
    name,
    version: String(values['bundleVersion']),
    license: (values['license'] as string | undefined) ?? (file === undefined ? ownLicense : 'unknown'),
    pictures,
    heads: (values['head'] as ReadonlyMap<string, string> | undefined) ?? new Map(),
    reading: { labels, inputSize },
  })
  const key = values['key'] as string | undefined
  const head: BundleHead =
    key === undefined ? packed.head : { ...packed.head, signatures: [signManifest(packed.head.bytes, key)] }
  const output = String(values['output'])
  await write(output, await bundleBytes(head, packed.files))
  tell(output, head, config.json, `packed; ${signersSentence(head)}`)
}

/** The name of a model's file as the name of a bundle. */
function nameOf(file: string | undefined): string {
  if (file === undefined) return builtInName
  return (file.split('/').at(-1) ?? '')
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
}

async function signFile(bundle: string, values: FlagValues): Promise<void> {
  const { head, files } = await readBundle(bundle, true)
  const signature = signManifest(head.bytes, String(values['key']))
  const { id } = signerOf(signature)
  const signatures = [...head.signatures.filter((other) => signerOf(other).id !== id), signature]
  const signed = { ...head, signatures }
  await write(bundle, await bundleBytes(signed, files))
  tell(bundle, signed, values['json'] === true, signersSentence(signed))
}

async function verifyFile(bundle: string, values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const { head } = await readBundle(bundle)
  const { bytes: manifest, signatures } = head
  const { warning } = judgeSignatures({ name: `bundle ${bundle}`, manifest, signatures }, trustOf(config), 'local')
  tell(bundle, head, config.json, warning === null ? `genuine; ${signersSentence(head)}` : `whole; ${warning}`)
}

function signersSentence({ signatures }: BundleHead): string {
  if (signatures.length === 0) return 'it is not signed'
  return `signed by key ${signatures.map((signature) => signerOf(signature).id).join(', ')}`
}

function tell(bundle: string, { manifest, digest, signatures }: BundleHead, json: boolean, sentence: string): void {
  const { name, version, license, minimumGapcam, golden, files } = manifest
  if (wantsJson(json))
    writeJson({
      bundle,
      name,
      version,
      digest,
      license,
      minimumGapcam,
      signedBy: signatures.map((signature) => signerOf(signature).id),
      pictures: golden.pictures.length,
      bytes: files.reduce((sum, { size }) => sum + size, 0),
    })
  else process.stdout.write(`${bundle}: ${name} ${version}, digest ${digest.slice(0, 12)}; ${sentence}\n`)
}

async function write(output: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(output, bytes)
  } catch (error) {
    throw new GapcamError('USAGE', `${output} cannot be written: ${writeFaultOf(error)}`)
  }
}
