/** Checks the broker layer by layer (name, port, TLS, login, rights) and stops at the first layer that fails. */
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

const mqttFix = 'docs/configuration.md lists the mqtt keys.'

/** The checks of the area `broker`. */
export const examineBroker: Examination = async (context) => {
  const { broker, config } = context
  if (broker === null)
    return [
      skip(
        'broker',
        config.mqtt.broker === 'none'
          ? 'mqtt.broker is none'
          : 'mqtt.broker is embedded: gapcam run starts its own broker, which only this machine can reach',
      ),
    ]
  if ('why' in broker) return [fail('broker', broker.why, mqttFix)]
  let target: Target
  try {
    target = targetOf(broker)
  } catch (error) {
    return [fail('broker', messageOf(error), mqttFix)]
  }
  const { host, port, isEncrypted: isTls } = target
  const checks: Check[] = []
  const add = (check: Check): boolean => checks.push(check) > 0 && check.verdict !== 'fail'
  if (!add(await name(host))) return checks
  if (!add(await tcp(host, port))) return checks
  if (isTls && !add(await tls(host, port, broker))) return checks
  if (!isTls && target.password !== undefined && !isLocal(host))
    add(warn('encryption', 'the password is sent over the network unencrypted', 'Use mqtts:// with mqtt.ca.'))
  if (broker.tls?.insecure)
    add(
      warn(
        'encryption',
        'mqtt.insecure is set, so the identity of the broker is not checked',
        'Unset mqtt.insecure, and set mqtt.ca to the certificate of the authority.',
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
      ? 'Install avahi-daemon and libnss-mdns, or use the IP address.'
      : 'Check the spelling and the name server (resolvectl status), or use the IP address.'
    return fail(
      'name',
      code === 'ENOTFOUND' ? `the name ${host} is unknown` : `the name ${host} cannot be resolved: ${messageOf(error)}`,
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
          'Check that the machine is on (ping), and that no firewall blocks the port.',
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
            ? 'Start the broker (sudo systemctl start mosquitto). Check its port, and that it listens on more than loopback.'
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
      ...(servername ? { servername } : isIP(host) ? {} : { servername: host }), // an IP address is no server name (RFC 6066)
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
      const evidence = `${socket.getProtocol() ?? 'TLS'}, certificate of ${subject?.CN ?? 'an unnamed subject'}, valid for ${days} days`
      end(days < 14 ? warn('TLS', evidence, 'Renew the broker’s certificate before it expires.') : ok('TLS', evidence))
    })
    socket.once('timeout', () =>
      end(
        fail(
          'TLS',
          'the port accepts connections but does not answer in TLS',
          'This may be the unencrypted port. mqtts:// usually uses port 8883.',
        ),
      ),
    )
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? ''
      end(
        fail(
          'TLS',
          code === 'ECONNRESET' || code === 'EPROTO'
            ? `the broker ended the handshake: ${messageOf(error)}`
            : messageOf(error),
          tlsFix(code) ??
            'Check that the port uses TLS. If the broker demands a client certificate, set mqtt.cert and mqtt.key.',
        ),
      )
    })
  })
}

/** Logs in with a client id of its own, so that a running gapcam stays connected, and tries one topic in each direction. */
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
        `the broker accepts the connection with MQTT ${versionName(attempt.connection.protocol)}${user === undefined ? ', without a user' : ` as ${user}`}`,
      ),
      ...(await rights(attempt.connection, config.mqtt.base, root)),
    ]
  const { kind, message } = attempt.loss
  if (kind === 'refused')
    return [
      fail(
        'login',
        `the broker refuses the connection: ${message}`,
        user === undefined
          ? 'If the broker demands a user, set mqtt.username and mqtt.passwordFile.'
          : 'Compare mqtt.username and mqtt.passwordFile with the users of the broker.',
      ),
    ]
  return [
    fail(
      'login',
      `no MQTT connection: ${message}`,
      'Check that the port belongs to an MQTT broker, and look into the log of the broker.',
    ),
  ]
}

/** `base` is the part of `root` above the node. */
async function rights(connection: Connection, base: string, root: string): Promise<Check[]> {
  const fix = `Let this user read and write below the base topic (in the ACL file of mosquitto: topic readwrite ${base}/#).`
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
      ? fail('right to subscribe', `the broker refuses the subscription to ${heard}: ${refused[0]!.reason}`, fix)
      : ok('right to subscribe', heard),
    delivery === 'sent'
      ? ok('right to publish', `${said}${isBare ? ' (MQTT 3.1.1 does not report whether the broker forwards it)' : ''}`)
      : fail(
          'right to publish',
          `the broker ${delivery === 'refused' ? 'refuses' : 'does not acknowledge'} ${said}`,
          fix,
        ),
  ]
}
