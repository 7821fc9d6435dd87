// Shared by programs that run gapcam beside other servers: a free port, and a running gapcam with its page.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Starts `gapcam run` with these arguments. Resolves with the address of its page; rejects with its stderr if it ends first. */
export async function startPage(args) {
  const run = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)), 'run', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const url = await new Promise((resolve, reject) => {
    let text = ''
    run.stderr.on('data', (chunk) => {
      text += chunk
      const match = /^page {5}(\S+)$/m.exec(text)
      if (match) resolve(match[1])
    })
    run.on('close', () => reject(new Error(text)))
  })
  return { run, url }
}
