/** The broker, layer by layer, so that the first thing that is wrong is named: name, port, TLS, login, rights. */
import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { messageOf } from '../errors.js'
import { tlsFix } from '../publish/certificate.js'
import { versionName, type Connection, type ConnectOptions } from '../publish/mqtt.js'
import { targetOf, type Target } from '../publish/target.js'
import { tryBroker } from '../publish/visit.js'
import { checksOf, type Check, type DoctorContext, type Examination } from './check.js'

const { ok, warn, fail, skip } = checksOf('broker')
const stepMs = 5000

export const examineBroker: Examination = async (context) => {
  const { broker, config } = context
  if (broker === null)
    return [
      skip(
        'broker',
        config.mqtt.broker === 'none'
          ? 'the configuration says none'
          : 'the embedded broker starts with gapcam run; nothing outside this machine hears it',
      ),
    ]
  if ('why' in broker) return [fail('broker', broker.why, 'See mqtt in docs/configuration.md.')]
  let target: Target
  try {
    target = targetOf(broker)
  } catch (error) {
    return [fail('broker', messageOf(error), 'See mqtt in docs/configuration.md.')]
  }
  const { host, port, isEncrypted: isTls } = target
  const checks: Check[] = []
  const add = (check: Check): boolean => checks.push(check) > 0 && check.verdict !== 'fail'
  if (!add(await name(host))) return checks
  if (!add(await tcp(host, port))) return checks
  if (isTls && !add(await tls(host, port, broker))) return checks
  if (!isTls && target.password !== undefined && !isLocal(host))
    add(warn('encryption', 'user and password go over the network unencrypted', 'Use mqtts:// with mqtt.ca.'))
  if (broker.tls?.insecure)
    add(
      warn(
        'encryption',
        'mqtt.insecure is set: nobody knows who answers',
        'Give the authority’s certificate as mqtt.ca instead.',
      ),
    )
  return [...checks, ...(await login(broker, context))]
}

const isLocal = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

async function name(host: string): Promise<Check> {
  if (isIP(host) !== 0) return ok('name', `${host} is an address`)
  try {
    const found = await withTimeout(lookup(host, { all: true }))
    return ok('name', `${host} is ${found.map(({ address }) => address).join(', ')}`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const fix = host.endsWith('.local')
      ? 'Install avahi-daemon and libnss-mdns, or use the address in digits.'
      : 'Check the spelling and the name server (resolvectl status), or use the address in digits.'
    return fail(
      'name',
      code === 'ENOTFOUND' ? `no name server knows ${host}` : `${host} cannot be looked up: ${messageOf(error)}`,
      fix,
    )
  }
}

function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${stepMs / 1000} s`)), stepMs)
    }),
  ]).finally(() => clearTimeout(timer))
}

function tcp(host: string, port: number): Promise<Check> {
  const start = performance.now()
  return new Promise((resolve) => {
    const socket: Socket = connectTcp({ host, port, timeout: stepMs })
    const end = (check: Check): void => {
      socket.destroy()
      resolve(check)
    }
    socket.once('connect', () =>
      end(ok('port', `${host}:${port} answers after ${Math.round(performance.now() - start)} ms`)),
    )
    socket.once('timeout', () =>
      end(
        fail(
          'port',
          `${host}:${port} does not answer within ${stepMs / 1000} s`,
          'A firewall drops it, or the machine is off: try ping, and open the port.',
        ),
      ),
    )
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const inner = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error
      const refused = inner.code === 'ECONNREFUSED'
      end(
        fail(
          'port',
          refused ? `nothing listens on ${host}:${port}: connection refused` : `${host}:${port}: ${messageOf(inner)}`,
          refused
            ? 'Start the broker (sudo systemctl start mosquitto), check its port, and that it listens on more than loopback.'
            : 'Check the network: cable, Wi-Fi, route.',
        ),
      )
    })
  })
}

function tls(host: string, port: number, { tls: own = {} }: ConnectOptions): Promise<Check> {
  return new Promise((resolve) => {
    const { ca, cert, key, servername, insecure } = own
    const socket: TLSSocket = connectTls({
      host,
      port,
      timeout: stepMs,
      rejectUnauthorized: insecure !== true,
      ...(servername ? { servername } : isIP(host) ? {} : { servername: host }),
      ...(ca ? { ca } : {}),
      ...(cert ? { cert } : {}),
      ...(key ? { key } : {}),
    })
    const end = (check: Check): void => {
      socket.destroy()
      resolve(check)
    }
    socket.once('secureConnect', () => {
      const { subject, valid_to } = socket.getPeerCertificate()
      const days = Math.floor((Date.parse(valid_to) - Date.now()) / 86_400_000)
      const evidence = `${socket.getProtocol() ?? 'TLS'}, certificate of ${subject?.CN ?? 'nobody'}, valid for ${days} days`
      end(days < 14 ? warn('TLS', evidence, 'Renew the broker’s certificate before it ends.') : ok('TLS', evidence))
    })
    socket.once('timeout', () =>
      end(
        fail(
          'TLS',
          'the port answers, but no TLS comes back',
          'That may be the unencrypted port: use 8883 with mqtts://.',
        ),
      ),
    )
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? ''
      end(
        fail(
          'TLS',
          code === 'ECONNRESET' || code === 'EPROTO'
            ? `the broker ends the handshake: ${messageOf(error)}`
            : messageOf(error),
          tlsFix(code) ?? 'Check that the port speaks TLS, and mqtt.cert and mqtt.key where the broker wants them.',
        ),
      )
    })
  })
}

/** Connects beside a gapcam that may be running, and tries one topic of each direction. */
async function login(connect: ConnectOptions, { config, signal }: DoctorContext): Promise<Check[]> {
  const root = `${config.mqtt.base}/${config.node}`
  const clientId = `gapcam-${config.node}-doctor`
  const will = { topic: `${root}/response/doctor`, payload: '{}', qos: 0 as const, isRetained: false }
  const attempt = await tryBroker({ connect, clientId, will, signal })
  const { user } = targetOf(connect)
  if (attempt.ok)
    return [
      ok(
        'login',
        `the broker takes us with MQTT ${versionName(attempt.connection.protocol)}${user === undefined ? ', without a user' : ` as ${user}`}`,
      ),
      ...(await rights(attempt.connection, root)),
    ]
  const { kind, message } = attempt.loss
  if (kind === 'refused')
    return [
      fail(
        'login',
        `the broker refuses us: ${message}`,
        user === undefined
          ? 'It wants a user: set mqtt.username and mqtt.passwordFile.'
          : 'Check mqtt.username and mqtt.passwordFile against the broker’s users.',
      ),
    ]
  return [
    fail(
      'login',
      `the broker answers no MQTT: ${message}`,
      'Check that the port belongs to an MQTT broker; look into its log.',
    ),
  ]
}

async function rights(connection: Connection, root: string): Promise<Check[]> {
  const fix = `Let this user read and write below the base topic (in mosquitto's ACL file: topic readwrite ${root.split('/')[0]}/#).`
  const heard = `${root}/request/+`
  const said = `${root}/response/doctor`
  const [refused, delivery] = [
    await connection.subscribe([{ filter: heard, qos: 1 }]),
    await connection.publish({ topic: said, payload: '{}', qos: 1, isRetained: false }),
  ]
  const isBare = connection.protocol === 4
  await connection.close(1000)
  return [
    refused.length > 0
      ? fail('right to listen', `the broker refuses ${heard}: ${refused[0]!.reason}`, fix)
      : ok('right to listen', heard),
    delivery === 'sent'
      ? ok('right to publish', `${said}${isBare ? ' (MQTT 3.1.1 does not say whether anybody may read it)' : ''}`)
      : fail(
          'right to publish',
          `the broker ${delivery === 'refused' ? 'refuses' : 'does not acknowledge'} ${said}`,
          fix,
        ),
  ]
}
