/** Creating folders, also where that is impossible. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeFolder } from '../src/folder.js'
import { projectRoot } from './shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-folder-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('a folder is created with its parents, once or again', async () => {
  const path = join(folder, 'a/b/c')
  await makeFolder(path)
  await makeFolder(path)
  expect(existsSync(path)).toBe(true)
})

it('a file in the path is an error that says so', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(makeFolder(join(folder, 'file/b'))).rejects.toMatchObject({ code: 'ENOTDIR' })
})

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0

it.runIf(canMount)('a read-only file system is named as such (needs user namespaces)', () => {
  const program = `import { makeFolder } from '${projectRoot}dist/folder.js'
    await makeFolder('${folder}/a/x/y').then(() => 'made', ({ code }) => code).then(console.log)`
  const script = `mount -t tmpfs -o ro tmpfs '${folder}/a' && exec "$@"`
  const said = execFileSync(
    'unshare',
    ['-rm', 'sh', '-c', script, 'sh', process.execPath, '--input-type=module', '-e', program],
    { encoding: 'utf8' },
  )
  expect(said.trim()).toBe('EROFS')
})
