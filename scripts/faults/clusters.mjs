// Starts clusters of three brokers on this machine, from programs that are already here. Each member can be killed and started.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { answers, pause, temporaryFolder } from './parts.mjs'

const size = 3

/** How to configure a member of each kind: its files by name, the first of which the program is started with. */
const kinds = {
  nats: {
    files: ({ at, ports, folder }) => ({
      'nats.conf': `
server_name: n${at}
listen: "127.0.0.1:${ports[at].own}"
jetstream { store_dir: "${folder}/jetstream" }
cluster {
  name: region
  listen: "127.0.0.1:${ports[at].peers}"
  routes: [${others(ports, at).map(({ peers }) => `"nats://127.0.0.1:${peers}"`)}]
}
mqtt { listen: "127.0.0.1:${ports[at].mqtt}", stream_replicas: ${size} }
`,
    }),
    start: (file) => ['-c', file],
  },
  rmqtt: {
    files: ({ at, ports, folder }) => ({
      'rmqtt.toml': `
node.id = ${at + 1}
rpc.server_addr = "127.0.0.1:${ports[at].own}"
log.to = "console"
log.level = "warn"
plugins.dir = "${folder}/plugins/"
plugins.default_startups = ["rmqtt-retainer", "rmqtt-cluster-raft", "rmqtt-message-storage", "rmqtt-shared-subscription"]
plugins.disabled_default_startups = ["rmqtt-http-api"]
listener.tcp.external.addr = "127.0.0.1:${ports[at].mqtt}"
listener.tcp.external.allow_anonymous = true
listener.tcp.external.retain_available = true
listener.tcp.external.session_expiry_interval = "2h"
listener.tcp.external.message_expiry_interval = "2h"
`,
      'plugins/rmqtt-cluster-raft.toml': `
node_grpc_addrs = [${ports.map(({ own }, i) => `"${i + 1}@127.0.0.1:${own}"`)}]
raft_peer_addrs = [${ports.map(({ peers }, i) => `"${i + 1}@127.0.0.1:${peers}"`)}]
leader_id = 0
`,
      'plugins/rmqtt-retainer.toml': 'storage.type = "ram"\nretained_message_ttl = "0m"\n',
      'plugins/rmqtt-message-storage.toml': 'storage.type = "ram"\n',
    }),
    start: (file) => ['-f', file],
  },
}

/**
 * A free port below those that the system gives to outgoing connections. Members call each other without end: while one is dead a
 * call to its port could take that very port.
 */
async function memberPort() {
  for (;;) {
    const server = createServer().listen(20_000 + Math.floor(Math.random() * 12_000), '127.0.0.1')
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false)
    if (!isFree) continue
    const { port } = server.address()
    server.close()
    await once(server, 'close')
    return port
  }
}

const others = (ports, at) => ports.filter((_, i) => i !== at)

export const clusterKinds = Object.keys(kinds)

/** Three members of a kind, started and connected with each other. `program` is the path of the broker's program. */
export async function startCluster(kind, program) {
  const { folder, remove } = temporaryFolder()
  const ports = []
  for (let at = 0; at < size; at++)
    ports.push({ mqtt: await memberPort(), own: await memberPort(), peers: await memberPort() })
  const members = ports.map(({ mqtt }, at) => {
    const own = join(folder, `${at}`)
    const files = Object.entries(kinds[kind].files({ at, ports, folder: own }))
    for (const [name, text] of files) {
      mkdirSync(dirname(join(own, name)), { recursive: true })
      writeFileSync(join(own, name), text)
    }
    return new Member(program, kinds[kind].start(join(own, files[0][0])), mqtt)
  })
  for (const member of members) member.spawn()
  for (const member of members) await member.answers()
  return {
    members,
    async close() {
      for (const member of members) await member.kill()
      remove()
    },
  }
}

class Member {
  #program
  #arguments
  #child = null
  #errors = ''
  /** How often it ended at its start, and was started again as a service manager does. */
  restarts = 0

  constructor(program, given, port) {
    this.#program = program
    this.#arguments = given
    this.port = port
    this.url = `mqtt://127.0.0.1:${port}`
  }

  get isAlive() {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  spawn() {
    this.#child = spawn(this.#program, this.#arguments, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (chunk) => (this.#errors = (this.#errors + chunk).slice(-4000)))
    this.#child.on('error', (error) => (this.#errors += error.message))
  }

  /**
   * Waits until the member takes connections of MQTT. One that ends is started again after a second: rmqttd cannot have its own
   * port for a minute after a kill.
   */
  async answers() {
    const endMs = performance.now() + 150_000
    while (!(await answers(this.port))) {
      if (performance.now() > endMs) throw new Error(`${this.#program} does not start:\n${this.#errors}`)
      if (!this.isAlive) {
        this.restarts++
        await pause(1000)
        this.spawn()
      }
      await pause(50)
    }
  }

  async start() {
    this.spawn()
    await this.answers()
  }

  /** Ends it at once, without a last word. */
  async kill() {
    if (!this.isAlive) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/**
 * One address for all members, as a load balancer before a cluster gives: a connection goes to the first member that lives,
 * from `first` on. It ends when its member dies.
 */
export async function startBalancer(members, first = 0) {
  const sockets = new Set()
  const server = createServer((client) => {
    const order = members.map((_, i) => members[(first + i) % members.length])
    const member = order.find(({ isAlive }) => isAlive)
    if (!member) {
      client.destroy()
      return
    }
    const broker = connect(member.port, '127.0.0.1')
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ]) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `mqtt://127.0.0.1:${server.address().port}`,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
