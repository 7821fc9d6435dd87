/**
 * The OPC UA output: an object for each zone with variables that clients read and subscribe to, as the configuration says.
 * Nothing can be written. Certificates and keys are files in one folder.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback } from '../../address/host.js'
import type { Config } from '../../config/schema.js'
import { stateDirectory } from '../../config/state-directory.js'
import { fileFaultOf, GapcamError, messageOf, writeFaultOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import { readSecret } from '../../secrets.js'
import { openMapping } from '../mapping.js'
import type { OpenOutput } from '../output.js'
import { zoneFieldNames, type ZoneStates } from '../zone-states.js'
import { loadUaPackage, type UaPackage, type UaServer, type Variable } from './package.js'
import {
  acceptVariables,
  checkSameNames,
  plainShapes,
  plainVariables,
  templateShapes,
  type Values,
  type VariableShape,
} from './variables.js'

export interface OpcuaOptions {
  readonly config: Config
  readonly zones: ZoneStates
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
}

/** Starts to listen. Rejects with CONFIG_INVALID for what cannot be used or is not secure, and with PORT_IN_USE. */
export async function openOpcua({ config, zones, log }: OpcuaOptions): Promise<OpenOutput> {
  const { host, port, security, templateFile } = config.opcua
  if (security === 'none' && !isLoopback(host))
    throw new GapcamError('CONFIG_INVALID', `opcua.host: ${host} is reachable from other machines without security`, {
      hint: 'Set opcua.security: encrypt, or keep opcua.host at 127.0.0.1.',
    })
  let shapes: readonly VariableShape[] = plainShapes
  let [isOpen, isClosed] = [false, false]
  const values = openMapping<Values>({
    ...{ key: 'opcua.templateFile', file: templateFile, names: zoneFieldNames, log },
    accept: (made) => acceptVariables(made, shapes),
    check: (document) => {
      if (isOpen) checkSameNames(document, shapes)
      else shapes = templateShapes(document)
    },
    // Without a result of the template its variables keep their values.
    plain: templateFile === undefined ? plainVariables : () => ({}),
  })
  isOpen = true
  const isValidUser = loginOf(config.opcua)
  const ua = await loadUaPackage()
  for (const set of [ua.setWarningLogger, ua.setErrorLogger, ua.setDebugLogger])
    set((...parts) => log.debug({ output: 'opcua' }, `opcua: ${parts.map(String).join(' ')}`))
  const { server, close } = await startServer(ua, config, isValidUser)
  log.info({ output: 'opcua', host, port }, `opcua: listening on opc.tcp://${host}:${port}/gapcam`)
  const show = createView({ ua, server, node: config.node, zones, shapes, values })
  zones.onChange((number) => {
    if (!isClosed) show(number)
  })
  for (const number of zones.all.keys()) show(number)
  return {
    name: 'opcua',
    health: () => ({
      clients: server.currentSessionCount,
      cut: server.rejectedSessionCount,
      template_faults: values.faults(),
    }),
    close() {
      isClosed = true
      return close()
    },
  }
}

interface ViewParts {
  readonly ua: UaPackage
  readonly server: UaServer
  readonly node: string
  readonly zones: ZoneStates
  readonly shapes: readonly VariableShape[]
  readonly values: (fields: ReturnType<ZoneStates['fields']>) => Values
}

/** Returns what brings a zone's variables up to date; the first time it makes them: `ns=1;s=⟨place⟩.⟨name⟩`. */
function createView({ ua, server, node, zones, shapes, values }: ViewParts): (number: number) => void {
  const { addressSpace } = server.engine
  const namespace = addressSpace.getOwnNamespace()
  const device = namespace.addObject({
    organizedBy: addressSpace.rootFolder.objects,
    browseName: node,
    nodeId: 's=node',
  })
  const made: Map<string, { readonly variable: Variable; value?: unknown }>[] = []
  const variablesOf = (place: string): (typeof made)[number] => {
    const zone = namespace.addObject({ componentOf: device, browseName: place, nodeId: `s=${place}` })
    return new Map(
      shapes.map(({ name, type }) => {
        const variable = namespace.addVariable({
          ...{ componentOf: zone, browseName: name, nodeId: `s=${place}.${name}`, minimumSamplingInterval: 0 },
          ...{ dataType: type, accessLevel: 'CurrentRead', userAccessLevel: 'CurrentRead' },
        })
        variable.setValueFromSource({ dataType: ua.DataType.Null, value: null }, ua.StatusCodes.BadNoData)
        return [name, { variable }]
      }),
    )
  }
  return (number) => {
    const state = zones.all[number]!
    const variables = (made[number] ??= variablesOf(state.place))
    const now = new Date()
    const fresh = values(zones.fields(state))
    for (const { name, type } of shapes) {
      const value = fresh[name]
      const held = variables.get(name)!
      if (value === undefined || value === held.value) continue
      held.value = value
      held.variable.setValueFromSource({ dataType: ua.DataType[type], value }, ua.StatusCodes.Good, now)
    }
  }
}

/** Strangers leave their certificates in `rejected`: the newest ones stay, for a person to trust. */
const mostRejected = 100

function pruneRejected(pkiFolder: string): void {
  const folder = join(pkiFolder, 'rejected')
  const names = existsSync(folder) ? readdirSync(folder) : []
  if (names.length <= mostRejected) return
  const byAge = names.map((name) => ({ path: join(folder, name), ms: statSync(join(folder, name)).mtimeMs }))
  byAge.sort((a, b) => b.ms - a.ms)
  for (const { path } of byAge.slice(mostRejected)) rmSync(path, { force: true })
}

/** Checks user and password; null where anyone may connect. The file is read at each login: it may have been replaced. */
function loginOf({ username, passwordFile }: Config['opcua']): ((user: string, password: string) => boolean) | null {
  if (username === undefined && passwordFile === undefined) return null
  if (username === undefined || passwordFile === undefined)
    throw new GapcamError('CONFIG_INVALID', 'opcua: username and passwordFile belong together')
  try {
    readSecret(passwordFile)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `opcua.passwordFile: ${passwordFile} cannot be read: ${fileFaultOf(error)}`)
  }
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return (user, password) => {
    try {
      return user === username && timingSafeEqual(digest(password), digest(readSecret(passwordFile)))
    } catch {
      return false
    }
  }
}

function pkiFolderOf(config: Config): string {
  return config.opcua.pkiFolder ?? join(stateDirectory(config), 'opcua')
}

async function startServer(
  ua: UaPackage,
  config: Config,
  isValidUser: ReturnType<typeof loginOf>,
): Promise<{ readonly server: UaServer; close(): Promise<void> }> {
  const { MessageSecurityMode: mode, SecurityPolicy: policy } = ua
  const { host, port, security, maxClients } = config.opcua
  const pkiFolder = pkiFolderOf(config)
  const isEncrypted = security === 'encrypt'
  try {
    mkdirSync(pkiFolder, { recursive: true, mode: 0o700 })
    pruneRejected(pkiFolder)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `opcua.pkiFolder: ${pkiFolder} cannot be made: ${writeFaultOf(error)}`)
  }
  const certificates = new ua.OPCUACertificateManager({
    ...{ rootFolder: pkiFolder, automaticallyAcceptUnknownCertificate: false },
  })
  await certificates.initialize()
  const server = new ua.OPCUAServer({
    ...{ host, port, hostname: host, resourcePath: '/gapcam', nodeset_filename: [ua.nodesets.standard] },
    ...{ serverCertificateManager: certificates, userCertificateManager: certificates },
    securityModes: [isEncrypted ? mode.SignAndEncrypt : mode.None],
    securityPolicies: isEncrypted
      ? [policy.Basic256Sha256, policy.Aes128_Sha256_RsaOaep, policy.Aes256_Sha256_RsaPss]
      : [policy.None],
    allowAnonymous: isValidUser === null,
    userManager: { isValidUser: (user: string, password: string) => isValidUser?.(user, password) ?? false },
    maxConnectionsPerEndpoint: maxClients,
    serverCapabilities: { maxSessions: maxClients, maxSubscriptions: 10 * maxClients },
    serverInfo: {
      applicationUri: `urn:gapcam:${config.node}`,
      productUri: 'urn:gapcam',
      applicationName: { text: 'gapcam' },
    },
    registerServerMethod: ua.RegisterServerMethod.HIDDEN,
  })
  const close = async (): Promise<void> => {
    await server.shutdown(0)
    await certificates.dispose()
  }
  try {
    await server.initialize()
    await server.start()
  } catch (error) {
    await close().catch(() => undefined)
    throw new GapcamError('PORT_IN_USE', `opcua: cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      hint: 'Choose another opcua.port, or stop the program that uses it.',
    })
  }
  return { server, close }
}
