/** The camera checks of `gapcam doctor`, with pictures that show nothing and a pipeline whose frames never change. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { bird, doctor, small, testFolder } from './run-doctor.js'

const folder = testFolder()

describe('cameras', () => {
  const picture = async (name: string, levels: (i: number) => number): Promise<string> => {
    const file = join(folder, `${name}.png`)
    await sharp(
      Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => levels(i)),
      { raw: { width: 64, height: 48, channels: 3 } },
    )
      .png()
      .toFile(file)
    return file
  }

  it('a missing camera ends doctor with status 3', async () => {
    const { exit, of } = await doctor('v4l2:///dev/video99', ...small, '--broker', 'none')
    expect([exit, of('cam0').evidence]).toEqual([3, expect.stringContaining('/dev/video99')])
  })

  it.each([
    ['black', () => 2, /black/],
    ['white', () => 254, /white/],
    ['flat', (i: number) => 120 + (i % 2), /no contrast/],
  ] as const)('a %s picture is a warning', async (name, levels, sentence) => {
    const { exit, of } = await doctor(await picture(name, levels), ...small, '--broker', 'none')
    expect([exit, of('cam0 picture').verdict, of('cam0 picture').evidence]).toEqual([
      0,
      'warn',
      expect.stringMatching(sentence),
    ])
  })

  it('a live camera whose frames never differ is frozen', async () => {
    const { of } = await doctor('gst:videotestsrc pattern=checkers-8 is-live=true', ...small, '--broker', 'none')
    expect(of('cam0 picture')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/identical, bit for bit/),
    })
  })

  it('a still picture over HTTP that never differs is not frozen', async () => {
    const jpeg = readFileSync(bird)
    const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'image/jpeg' }).end(jpeg))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    try {
      const { of } = await doctor(`http://127.0.0.1:${port}/still.jpg`, ...small, '--broker', 'none')
      expect([of('cam0').verdict, of('cam0 picture').verdict]).toEqual(['ok', 'ok'])
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })
})
