/**
 * Gives a program an address that holds a secret without putting it on the program's command line, which every user of
 * the machine can read. The program gets an address on loopback instead; there this answers with a redirect to the real
 * address, in RTSP or HTTP. It answers only programs of our own user.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** A redirect that waits to be fetched. */
export interface Handover {
  /** Scheme, port and a random path on loopback; holds no secret. */
  readonly url: string
  /** Ends it. Safe to call twice. */
  close(): void
}

const longestRequest = 8192

/** Opens a redirect to `target` for a program that reads rtsp:// or http:// addresses. */
export async function openHandover(scheme: 'rtsp' | 'http', target: string): Promise<Handover> {
  const path = `/${randomBytes(12).toString('hex')}`
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    void answer(socket, path, target)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  server.unref()
  const { port } = server.address() as AddressInfo
  return {
    url: `${scheme}://127.0.0.1:${port}${path}`,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function answer(socket: Socket, path: string, target: string): Promise<void> {
  if (!(await isOurs(socket))) return void socket.destroy()
  let request = ''
  socket.on('data', (chunk: Buffer) => {
    request += chunk.toString('latin1')
    if (request.length > longestRequest) socket.destroy()
    const end = request.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = request.slice(0, end)
    request = request.slice(end + 4)
    const [, asked = '', protocol = 'HTTP'] = /^[A-Z_]+ (\S+) (RTSP|HTTP)\/1\.[01]/.exec(head) ?? []
    const [, sequence] = /^cseq: *(\d+)/im.exec(head) ?? []
    const isKnown = asked.endsWith(path)
    const lines = [
      `${protocol === 'RTSP' ? 'RTSP/1.0' : 'HTTP/1.1'} ${isKnown ? '302 Found' : '404 Not Found'}`,
      ...(sequence === undefined ? [] : [`CSeq: ${sequence}`]),
      ...(isKnown ? [`Location: ${target}`] : []),
      'Content-Length: 0',
    ]
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  })
}

/** Whether the other end of a loopback connection belongs to our user. The kernel's table names the owner of each socket. */
async function isOurs({ remotePort, localPort }: Socket): Promise<boolean> {
  const hex = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0')
  const table = await readFile('/proc/net/tcp', 'utf8').catch(() => '')
  const row = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([, local, remote]) => local === `0100007F:${hex(remotePort)}` && remote === `0100007F:${hex(localPort)}`)
  return row?.[7] === String(process.getuid?.())
}
