/** Whose signatures are enough. Keys are made by openssl, as a user makes them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readPublicKey, signerOf, signManifest } from '../../src/bundle/signature.js'
import { judgeSignatures } from '../../src/bundle/trust.js'
import { freshFolder, makeKey } from './bundles.js'

const folder = freshFolder()
const [own, other] = [makeKey(folder, 'own'), makeKey(folder, 'other')]
const manifest = new TextEncoder().encode('{"name":"gate"}')
const [signed, stranger] = [signManifest(manifest, own.secret), signManifest(manifest, other.secret)]
const key = readPublicKey(own.open)
const judge = (
  signatures: Parameters<typeof judgeSignatures>[0]['signatures'],
  trust: Partial<Parameters<typeof judgeSignatures>[1]> = {},
  origin: 'local' | 'remote' = 'local',
): ReturnType<typeof judgeSignatures> =>
  judgeSignatures({ name: 'gate.gapcam', manifest, signatures }, { keys: [], revoked: [], ...trust }, origin)

describe('judgeSignatures', () => {
  it('accepts a signature of a trusted key without a warning, among others too', () => {
    expect(judge([stranger, signed], { keys: [key] })).toEqual({ signedBy: [key.id], warning: null })
  })

  it('accepts an unsigned local bundle with a warning where no key is configured, and refuses a remote one', () => {
    expect(judge([]).warning).toContain('is not signed')
    expect(judge([stranger]).warning).toContain('unknown keys only')
    expect(() => judge([], {}, 'remote')).toThrow('no key is configured')
  })

  it('refuses unsigned bundles and unknown keys where a key is configured', () => {
    expect(() => judge([], { keys: [key] })).toThrow('is not signed')
    expect(() => judge([stranger], { keys: [key] })).toThrow('unknown keys only')
  })

  it('refuses a false signature always, also of an unknown key', () => {
    const bytes = Buffer.from(signed.signature, 'base64')
    bytes[5]! ^= 1
    const broken = { ...signed, signature: bytes.toString('base64') }
    expect(() => judge([broken])).toThrow('is false')
    expect(() => judge([signed, { ...stranger, signature: signed.signature }], { keys: [key] })).toThrow('is false')
  })

  it('refuses a revoked key always, beside a trusted one too', () => {
    const { id } = signerOf(stranger)
    expect(() => judge([signed, stranger], { keys: [key], revoked: [id] })).toThrow('which is revoked')
    expect(() => judge([stranger], { revoked: [id] })).toThrow('which is revoked')
  })
})

it('a key file that is none is named with the reason', () => {
  writeFileSync(join(folder, 'text.pem'), 'hello')
  expect(() => readPublicKey(join(folder, 'text.pem'))).toThrow('it is not a key in PEM form')
  expect(() => readPublicKey(join(folder, 'absent.pem'))).toThrow('it does not exist')
})
