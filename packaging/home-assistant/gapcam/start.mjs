// The program of the container: turns the app's options and the Supervisor's MQTT service into a configuration, starts
// gapcam, and forwards ingress to its page, which listens on loopback only and so needs no token.
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'

const optionsFile = process.env.GAPCAM_OPTIONS ?? '/data/options.json'
const configFile = process.env.GAPCAM_CONFIG_OUT ?? '/data/gapcam.json'
const supervisor = process.env.SUPERVISOR_API ?? 'http://supervisor'
/** The only address from which Home Assistant's ingress comes. */
const ingressAddress = process.env.INGRESS_ADDRESS ?? '172.30.32.2'
/** The Supervisor's default. */
const ingressPort = Number(process.env.INGRESS_PORT ?? 8099)
const page = { host: '127.0.0.1', port: Number(process.env.PAGE_PORT ?? 8080) }

/** The broker of the MQTT service, or null if there is none. */
async function findBroker() {
  const headers = { authorization: `Bearer ${process.env.SUPERVISOR_TOKEN ?? ''}` }
  const response = await fetch(`${supervisor}/services/mqtt`, { headers }).catch((error) => ({ error }))
  if (response.error || !response.ok) {
    console.error(`gapcam: no MQTT service (${response.error?.message ?? response.status}); a broker of its own starts`)
    return null
  }
  const { data } = await response.json()
  return {
    broker: `${data.ssl ? 'mqtts' : 'mqtt'}://${data.host}:${data.port}`,
    ...(data.username ? { username: data.username, password: data.password } : {}),
  }
}

/** The configuration of gapcam. JSON is YAML. */
function configOf(options, mqtt) {
  const { node, model, labels, threshold } = options
  const cameras = options.cameras.map(({ username, password, ...camera }) => ({
    ...camera,
    ...(username ? { username } : {}),
    ...(password ? { passwordFile: writeSecret(camera.id, password) } : {}),
  }))
  return {
    node,
    cameras,
    ...(model ? { model } : {}),
    ...(labels ? { labels } : {}),
    ...(threshold === undefined ? {} : { policy: { threshold } }),
    ...(mqtt === null ? {} : { mqtt }),
    page: { enabled: true, ...page },
  }
}

function writeSecret(id, password) {
  const file = `${configFile}.${id}.password`
  writeFileSync(file, password, { mode: 0o600 })
  return file
}

/** The headers of a forwarded request: as if the page had been opened on loopback, where it checks host and origin. */
function forwarded(headers) {
  const own = { ...headers, host: `${page.host}:${page.port}` }
  if (headers.origin) own.origin = `http://${page.host}:${page.port}`
  return own
}

/** Forwards requests and live sockets of ingress to the page; refuses every other sender. */
function startIngress() {
  const isIngress = (socket) => socket.remoteAddress?.replace('::ffff:', '') === ingressAddress
  const server = createServer((incoming, answer) => {
    if (!isIngress(incoming.socket)) return void answer.writeHead(403).end()
    const { method, url: path, headers } = incoming
    const outgoing = request({ ...page, method, path, headers: forwarded(headers) }, (response) => {
      answer.writeHead(response.statusCode, response.headers)
      response.pipe(answer)
    })
    outgoing.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()))
    incoming.pipe(outgoing)
  })
  server.on('upgrade', (incoming, socket, head) => {
    if (!isIngress(socket)) return void socket.destroy()
    const target = connect(page.port, page.host, () => {
      const headers = Object.entries(forwarded(incoming.headers)).map(([name, value]) => `${name}: ${value}\r\n`)
      target.write(`GET ${incoming.url} HTTP/1.1\r\n${headers.join('')}\r\n`)
      target.write(head)
      socket.pipe(target).pipe(socket)
    })
    const end = () => {
      target.destroy()
      socket.destroy()
    }
    for (const side of [target, socket]) side.on('error', end).on('close', end)
  })
  server.listen(ingressPort)
}

const options = JSON.parse(readFileSync(optionsFile, 'utf8'))
writeFileSync(configFile, JSON.stringify(configOf(options, await findBroker()), null, 2), { mode: 0o600 })
startIngress()
const [command, ...args] = (process.env.GAPCAM_PROGRAM ?? 'gapcam').split(' ')
const program = spawn(command, [...args, 'run', '--config', configFile], { stdio: 'inherit' })
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => program.kill(signal))
program.on('error', (error) => {
  console.error(`gapcam: the program cannot be started: ${error.message}`)
  process.exit(1)
})
program.on('exit', (status, signal) => process.exit(status ?? (signal === 'SIGTERM' ? 143 : 1)))
