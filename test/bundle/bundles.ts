/** Makes small bundles for tests, of the smallest model that comes with gapcam. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleBytes } from '../../src/bundle/archive.js'
import { packBundle } from '../../src/bundle/pack.js'
import { signManifest } from '../../src/bundle/signature.js'
import { projectRoot } from '../shared.js'

export const photo = join(projectRoot, 'models/photos/cat.jpg')

const smallModel = join(projectRoot, 'models/convnet-gap.onnx')

/** A folder of its own. */
export const freshFolder = (): string => mkdtempSync(join(tmpdir(), 'gapcam-bundle-'))

/** Writes a pair of keys as a user does. */
export function makeKey(folder: string, name: string): { readonly secret: string; readonly open: string } {
  const [secret, open] = [join(folder, `${name}.pem`), join(folder, `${name}.pub.pem`)]
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', secret])
  execFileSync('openssl', ['pkey', '-in', secret, '-pubout', '-out', open])
  return { secret, open }
}

/** A bundle of a small network, in a file. */
export async function makeBundle(
  folder: string,
  {
    name = 'small',
    version = '1.0.0',
    key = undefined as string | undefined,
    withHead = undefined as string | undefined,
  } = {},
): Promise<{ readonly file: string; readonly digest: string }> {
  const { head, files } = await packBundle({
    model: smallModel,
    name,
    version,
    license: 'Apache-2.0',
    pictures: [photo],
    heads: new Map(withHead === undefined ? [] : [[withHead, smallModel]]),
    reading: {},
  })
  const signatures = key === undefined ? [] : [signManifest(head.bytes, key)]
  const file = join(folder, `${name}-${version}.gapcam`)
  writeFileSync(file, await bundleBytes({ ...head, signatures }, files))
  return { file, digest: head.digest }
}
