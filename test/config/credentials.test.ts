/** A camera's password that is read again at each reopening. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { sourceReader } from '../../src/config/credentials.js'
import { configSchema, type CameraConfig } from '../../src/config/schema.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-credentials-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const passwordFile = join(folder, 'password')

function camera(more: object): CameraConfig {
  return configSchema.parse({ cameras: [{ id: 'gate', source: 'rtsp://me:first@cam/live', ...more }] }).cameras[0]!
}

it('the password file is read again, and the last password serves while it cannot be, with one warning for each reason', () => {
  const warnings: string[] = []
  const source = sourceReader(camera({ passwordFile }), (sentence) => warnings.push(sentence))
  writeFileSync(passwordFile, 'second')
  expect(source()).toBe('rtsp://me:second@cam/live')
  rmSync(passwordFile)
  for (let i = 0; i < 3; i++) expect(source(), 'the last one that could be read').toBe('rtsp://me:second@cam/live')
  expect(warnings).toEqual([
    expect.stringMatching(
      /^camera gate: the password file .*password cannot be read: it does not exist; the previous password is used$/,
    ),
  ])
  writeFileSync(passwordFile, Buffer.from('\uFEFFthird', 'utf16le'))
  expect(source()).toBe('rtsp://me:second@cam/live')
  expect(warnings).toHaveLength(2)
  expect(warnings[1]).toMatch(/UTF-16/)
  writeFileSync(passwordFile, 'third')
  expect(source()).toBe('rtsp://me:third@cam/live')
  rmSync(passwordFile)
  source()
  expect(warnings, 'a fault that comes again is reported again').toHaveLength(3)
  expect(warnings.join(' ')).not.toMatch(/second|third/)
})

it('a camera without a password file keeps its source', () => {
  const source = sourceReader(camera({}), () => {
    throw new Error('no warning')
  })
  expect(source()).toBe('rtsp://me:first@cam/live')
})
