/** Commands whose output cannot be written. /dev/full behaves like a full disk. */
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

describe('a full disk', () => {
  const withFull = async (
    args: readonly string[],
    stream: 1 | 2,
  ): Promise<{ status: number | NodeJS.Signals; text: string }> => {
    const full = openSync('/dev/full', 'w')
    try {
      const child = gapcam(args, { stdio: ['ignore', stream === 1 ? full : 'pipe', stream === 2 ? full : 'pipe'] })
      return { status: await child.ended, text: stream === 1 ? child.stderr() : child.stdout() }
    } finally {
      closeSync(full)
    }
  }
  const scene = [
    'run',
    'test://',
    '--json',
    '--frames',
    '20',
    '--broker',
    'none',
    '--set',
    'page.enabled=false',
    '--set',
    'policy.consecutive=1',
  ]

  it('of stdout is reported in one sentence with status 74', async () => {
    for (const args of [['classify', join(projectRoot, 'models/photos')], ['config', 'schema'], ['--help']]) {
      const { status, text } = await withFull(args, 1)
      expect(status, text).toBe(74)
      expect(text).toMatch(/^gapcam: results can no longer be written to stdout: the disk is full\n.*\n$/)
    }
  })

  it('of stdout or stderr does not end a run', async () => {
    const { text, status } = await withFull(scene, 1)
    expect(text).toMatch(/^gapcam: results can no longer be written to stdout: the disk is full$/m)
    expect(text).toMatch(/^20 frames classified/m)
    expect(status).toBe(74)
    const silent = await withFull([...scene, '--log-level', 'trace'], 2)
    expect(silent.status).toBe(0)
    expect(jsonLines(silent.text)[0]).toMatchObject({ camera: 'cam0' })
  })
})
