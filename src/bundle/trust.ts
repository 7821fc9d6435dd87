/** Decides whether a bundle's signatures are enough. A pure function of the signatures and of the keys that are configured. */
import { GapcamError } from '../errors.js'
import { isGenuine, signerOf, type PublicKey, type Signature } from './signature.js'

/** Whose signatures count. */
export interface Trust {
  /** Keys that are trusted; none: signatures are not required for a local file. */
  readonly keys: readonly PublicKey[]
  /** Ids of keys that are trusted no longer. Each is the 16 digits that `gapcam model sign` prints. */
  readonly revoked: readonly string[]
}

/** What was found about the signatures. */
export interface Verdict {
  /** Ids of trusted keys that have signed. */
  readonly signedBy: readonly string[]
  /** A sentence where the bundle is accepted without a signature that says anything. */
  readonly warning: string | null
}

interface Signed {
  /** For sentences. */
  readonly name: string
  readonly manifest: Uint8Array
  readonly signatures: readonly Signature[]
}

const refuse = (sentence: string, hint: string): never => {
  throw new GapcamError('BUNDLE_REFUSED', sentence, { hint })
}

/**
 * Throws BUNDLE_REFUSED for a bundle that must not be installed. A false signature and one by a revoked key are refused
 * always. Without configured keys a local bundle is accepted with a warning, and a remote one is refused.
 */
export function judgeSignatures(
  { name, manifest, signatures }: Signed,
  { keys, revoked }: Trust,
  origin: 'local' | 'remote',
): Verdict {
  const signers = signatures.map((signature) => {
    const { id } = signerOf(signature)
    if (!isGenuine(signature, manifest))
      refuse(
        `${name}: the signature of key ${id} is false: the bundle was changed after it was signed`,
        'Get the bundle again from its maker.',
      )
    if (revoked.includes(id))
      refuse(`${name} is signed by key ${id}, which is revoked`, 'Sign it with a key that is in use.')
    return id
  })
  const signedBy = signers.filter((signer) => keys.some(({ id }) => id === signer))
  if (signedBy.length > 0) return { signedBy, warning: null }
  const how = signatures.length === 0 ? 'is not signed' : `is signed by unknown keys only: ${signers.join(', ')}`
  if (keys.length > 0)
    refuse(`${name} ${how}`, 'Sign it with a key of models.trust, or add the public key of its maker there.')
  if (origin === 'remote')
    refuse(`${name} ${how}, and no key is configured`, 'A bundle from afar needs a key in models.trust.')
  return { signedBy, warning: `${name} ${how}; add the public key of its maker to models.trust to have that checked` }
}
