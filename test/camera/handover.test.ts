/** The redirect that gives ffmpeg an address with a secret: to its own path, in both protocols, and only for our user. */
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { openHandover, type Handover } from '../../src/camera/handover.js'

const target = 'rtsp://u:p%23w@cam/live'
let handover: Handover | null = null
afterEach(() => handover?.close())

function ask(url: string, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(request))
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk
      if (answer.includes('\r\n\r\n')) socket.end()
    })
    socket.on('error', () => undefined).on('close', () => resolve(answer))
  })
}

it('answers in RTSP and HTTP with the address, and knows no other path', async () => {
  handover = await openHandover('rtsp', target)
  expect(handover.url).toMatch(/^rtsp:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{24}$/)
  const path = new URL(handover.url).pathname
  expect(await ask(handover.url, `OPTIONS ${handover.url} RTSP/1.0\r\nCSeq: 7\r\n\r\n`)).toBe(
    `RTSP/1.0 302 Found\r\nCSeq: 7\r\nLocation: ${target}\r\nContent-Length: 0\r\n\r\n`,
  )
  expect(await ask(handover.url, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 302 .*\r\nLocation: rtsp/,
  )
  expect(await ask(handover.url, 'GET /other HTTP/1.1\r\n\r\n')).not.toContain('cam')
})

// Only root can run a program as another user.
it.skipIf(process.getuid?.() !== 0)('answers nothing to a program of another user', async () => {
  handover = await openHandover('rtsp', target)
  const { port, pathname } = new URL(handover.url)
  const script = `const s=require('net').connect(${port},'127.0.0.1',()=>s.write('GET ${pathname} HTTP/1.1\\r\\n\\r\\n'));s.on('data',(d)=>console.log(String(d)));s.on('error',()=>{});s.on('close',()=>console.log('cut'))`
  const printed = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      ['-e', script],
      { uid: 65_534, gid: 65_534, timeout: 10_000, cwd: '/' },
      (_, stdout, stderr) => resolve(stdout + stderr),
    )
  })
  expect(printed.trim()).toBe('cut')
})
