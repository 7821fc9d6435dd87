/**
 * Ed25519 signatures over a bundle's manifest. Keys are PEM files, as `openssl genpkey -algorithm ed25519` writes them. A
 * key's id is the beginning of the SHA-256 of its public half, so it cannot be chosen.
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'

/** Signatures of a few people; more would only cost time. */
const mostSignatures = 16
export const mostSignatureBytes = 2 ** 16

const schema = z.strictObject({
  signatures: z
    .array(
      z.strictObject({
        /** The public half of the key that signed: SPKI in DER. */
        publicKey: z.base64().max(100),
        signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
      }),
    )
    .max(mostSignatures),
})

/** A signature as it lies in the bundle. */
export type Signature = z.output<typeof schema>['signatures'][number]

/** A public key. */
export interface PublicKey {
  /** 16 hexadecimal digits. */
  readonly id: string
  readonly key: KeyObject
}

/** What is signed: a signature of a bundle is none of another kind of document. */
const signed = (manifest: Uint8Array): Uint8Array => Buffer.concat([Buffer.from('gapcam bundle 1\n'), manifest])

/** The id of the key that made a signature. Throws BUNDLE_INVALID where the signature holds no key. */
export function signerOf({ publicKey }: Signature): PublicKey {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('of another type')
    return { id: idOf(key), key }
  } catch {
    throw new GapcamError('BUNDLE_INVALID', 'a signature of the bundle has no Ed25519 key')
  }
}

function idOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16)
}

function readPem(file: string, parse: (text: string) => KeyObject): KeyObject {
  let key: KeyObject
  try {
    key = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const isFileFault = (error as NodeJS.ErrnoException).syscall !== undefined
    throw new GapcamError(
      'KEY_INVALID',
      `key ${file}: ${isFileFault ? fileFaultOf(error) : `it is not a key in PEM form (${messageOf(error)})`}`,
    )
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new GapcamError('KEY_INVALID', `key ${file}: it is of type ${key.asymmetricKeyType}, not Ed25519`)
  return key
}

/** Reads a public key, or the public half of a private one. Throws KEY_INVALID. */
export function readPublicKey(file: string): PublicKey {
  const key = readPem(file, createPublicKey)
  return { id: idOf(key), key }
}

/** Signs a manifest with the private key in `file`. Throws KEY_INVALID. */
export function signManifest(manifest: Uint8Array, file: string): Signature {
  const key = readPem(file, createPrivateKey)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
  return { publicKey, signature: sign(null, signed(manifest), key).toString('base64') }
}

/** Whether a signature is over this manifest. Says nothing of whose key it is. */
export function isGenuine(signature: Signature, manifest: Uint8Array): boolean {
  return verify(null, signed(manifest), signerOf(signature).key, Buffer.from(signature.signature, 'base64'))
}

/** Reads the file with signatures. Throws BUNDLE_INVALID; `name` is the bundle in its sentence. */
export function readSignatures(bytes: Uint8Array, name: string): readonly Signature[] {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes))).signatures
  } catch {
    throw new GapcamError('BUNDLE_INVALID', `${name}: its signatures cannot be read`)
  }
}

/** The bytes of the file with signatures. */
export function signatureBytes(signatures: readonly Signature[]): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ signatures }, null, 1)}\n`)
}
