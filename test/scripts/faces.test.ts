/** The converted face network equals the package's own. Needs the unpacked package, which is not part of gapcam. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

const unpacked = process.env['GAPCAM_FACE_API']

it.skipIf(unpacked === undefined)(
  'gives the vectors of @vladmandic/face-api (needs GAPCAM_FACE_API, the folder of the unpacked package)',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gapcam-faces-'))
    const script = join(projectRoot, 'scripts/networks/faces.mjs')
    const run = launch(process.execPath, [script, unpacked!, join(folder, 'faces.onnx'), '--check'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stdout().match(/cosine 0\.9999|cosine 1/g)).toHaveLength(3)
    rmSync(folder, { recursive: true, force: true })
  },
)
