// Installs damaged and forged bundles. Each must be refused with a BUNDLE_* error, or be what its manifest says; the store
// must hold whole bundles only, and nothing may appear outside it.
//
//   node scripts/fuzz/bundle.mjs [--count 10000] [--seed 1]
//
// Half of the bundles meet a store that trusts one key: of them only the signed manifest may be accepted. Prints one JSON
// object; status 1 after a finding.
import { generateKeyPairSync } from 'node:crypto'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundleBytes } from '../../dist/bundle/archive.js'
import { installBundle } from '../../dist/bundle/install.js'
import { packBundle } from '../../dist/bundle/pack.js'
import { readPublicKey, signManifest } from '../../dist/bundle/signature.js'
import { openBundleStore } from '../../dist/bundle/store.js'
import { temporaryFolder } from '../faults/parts.mjs'
import { mutateBundle } from './bundle-mutator.mjs'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))

/** The bundle that all others are made from, with a head, and the key that has signed it. */
async function makeOriginal(folder) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const [secret, open] = [join(folder, 'key.pem'), join(folder, 'key.pub.pem')]
  writeFileSync(secret, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(open, publicKey.export({ type: 'spki', format: 'pem' }))
  const model = at('../../models/convnet-gap.onnx')
  const { head, files } = await packBundle({
    model,
    name: 'small',
    version: '1.0.0',
    license: 'Apache-2.0',
    pictures: [at('../../models/photos/cat.jpg')],
    heads: new Map([['lobby', model]]),
    reading: {},
  })
  const bytes = await bundleBytes({ ...head, signatures: [signManifest(head.bytes, secret)] }, files)
  return { bytes: Buffer.from(bytes), digest: head.digest, key: readPublicKey(open) }
}

/** What is wrong with a slot; null: it is what its manifest says. */
function damageOf(store, slot) {
  for (const { path, sha256 } of store.manifestOf(slot).files) {
    const found = createHash('sha256').update(readFileSync(join(store.placeOf(slot), path)))
    if (found.digest('hex') !== sha256) return `${path} is damaged`
  }
  return null
}

async function main() {
  const { values } = parseArgs({
    options: { count: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
  })
  const { folder, remove } = temporaryFolder()
  const report = { count: Number(values.count), refused: {}, same: 0, other: 0, findings: [] }
  try {
    const { bytes, digest, key } = await makeOriginal(folder)
    const store = openBundleStore(join(folder, 'state'))
    const file = join(folder, 'mutated.gapcam')
    writeFileSync(file, bytes)
    const expected = readdirSync(folder).concat('state').sort().join()
    for (let i = 0; i < report.count; i++) {
      const seed = Number(values.seed) * 1_000_003 + i
      const isTrusting = i % 2 === 0
      writeFileSync(file, mutateBundle(bytes, seed))
      const options = { store, origin: 'local', isShadow: false, engine: {} }
      const trust = { keys: isTrusting ? [key] : [], revoked: [] }
      const finding = (what) => report.findings.push(`seed ${seed}: ${what}`)
      try {
        const installed = await installBundle(file, { ...options, trust })
        const damage = damageOf(store, installed.entry.serving)
        if (damage !== null) finding(damage)
        if (isTrusting && installed.digest !== digest) finding('a manifest without a valid signature is accepted')
        report[installed.digest === digest ? 'same' : 'other']++
        await store.alone(() => store.replace(installed.manifest.name, null))
      } catch (error) {
        if (!String(error.code).startsWith('BUNDLE_')) finding(error.stack)
        report.refused[error.code] = (report.refused[error.code] ?? 0) + 1
      }
      const left = readdirSync(join(store.folder, 'slots')).concat(Object.keys(store.entries()))
      if (left.length > 0) finding(`left ${left.join()}`)
      if (readdirSync(folder).sort().join() !== expected) finding('there are files outside')
      if (report.findings.length > 20) break
    }
    report.peakMB = Math.round(process.resourceUsage().maxRSS / 1024)
  } finally {
    remove()
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = report.findings.length === 0 ? 0 : 1
}

await main()
