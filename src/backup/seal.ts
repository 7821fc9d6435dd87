/** Encrypts a part of a backup by a passphrase: AES-256-GCM with a key from scrypt. */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { GapcamError } from '../errors.js'

/** As OWASP recommends for scrypt: 128 MiB of memory, below a second on a Raspberry Pi 4. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 }
const [saltBytes, ivBytes, tagBytes] = [16, 12, 16]
/** Names the format; a change of the cost needs another one. */
const magic = Buffer.from('gapcam-sealed-1\n')

const keyOf = (passphrase: string, salt: Uint8Array): Buffer => scryptSync(passphrase, salt, 32, cost)

/**
 * `magic`, salt, nonce, tag, then the encrypted bytes. A passphrase is used as it is; it must not be empty.
 *
 *     open(seal(bytes, 'correct horse'), 'correct horse') // bytes
 */
export function seal(bytes: Uint8Array, passphrase: string): Buffer {
  const [salt, iv] = [randomBytes(saltBytes), randomBytes(ivBytes)]
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), iv).setAAD(magic)
  const sealed = Buffer.concat([cipher.update(bytes), cipher.final()])
  return Buffer.concat([magic, salt, iv, cipher.getAuthTag(), sealed])
}

/** The bytes that were sealed. Throws BACKUP_INVALID for another passphrase, and for changed bytes. */
export function open(sealed: Uint8Array, passphrase: string): Buffer {
  const bytes = Buffer.from(sealed)
  const at = magic.length + saltBytes
  const bodyAt = at + ivBytes + tagBytes
  if (bytes.length < bodyAt || !bytes.subarray(0, magic.length).equals(magic))
    throw new GapcamError('BACKUP_INVALID', 'the galleries are not in a form that this version knows')
  const decipher = createDecipheriv(
    'aes-256-gcm',
    keyOf(passphrase, bytes.subarray(magic.length, at)),
    bytes.subarray(at, at + ivBytes),
    { authTagLength: tagBytes },
  )
  decipher.setAAD(magic).setAuthTag(bytes.subarray(at + ivBytes, bodyAt))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(bodyAt)), decipher.final()])
  } catch {
    throw new GapcamError('BACKUP_INVALID', 'the galleries cannot be decrypted', {
      hint: 'Give the passphrase that the backup was made with. With the right one, the file has been changed.',
    })
  }
}
