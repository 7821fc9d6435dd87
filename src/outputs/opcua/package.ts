/** What gapcam uses of the package node-opcua, which is loaded only when configured. */
import { existsSync } from 'node:fs'
import { loadOptional } from '../../optional-package.js'

/** A value with its type, as node-opcua takes it. */
export interface Variant {
  readonly dataType: number
  readonly value: unknown
}

export interface Variable {
  setValueFromSource(variant: Variant, status?: unknown, sourceTime?: Date): void
}

interface Namespace {
  addObject(options: Readonly<Record<string, unknown>>): object
  addVariable(options: Readonly<Record<string, unknown>>): Variable
}

export interface UaServer {
  initialize(): Promise<void>
  start(): Promise<void>
  shutdown(timeoutMs: number): Promise<void>
  readonly currentSessionCount: number
  readonly rejectedSessionCount: number
  readonly engine: {
    readonly addressSpace: {
      getOwnNamespace(): Namespace
      readonly rootFolder: { readonly objects: object }
    }
  }
}

export interface UaPackage {
  readonly OPCUAServer: new (options: Readonly<Record<string, unknown>>) => UaServer
  readonly OPCUACertificateManager: new (
    options: Readonly<Record<string, unknown>>,
  ) => {
    initialize(): Promise<void>
    dispose(): Promise<void>
  }
  readonly DataType: Readonly<Record<'String' | 'Double' | 'UInt32' | 'Boolean' | 'DateTime' | 'Null', number>>
  readonly MessageSecurityMode: Readonly<Record<'None' | 'SignAndEncrypt', number>>
  readonly SecurityPolicy: Readonly<
    Record<'None' | 'Basic256Sha256' | 'Aes128_Sha256_RsaOaep' | 'Aes256_Sha256_RsaPss', string>
  >
  readonly StatusCodes: Readonly<Record<'Good' | 'BadNoData', unknown>>
  readonly RegisterServerMethod: Readonly<Record<'HIDDEN', number>>
  /** Where its messages go; by default stdout, which is ours. */
  readonly setWarningLogger: (print: (...parts: unknown[]) => void) => void
  readonly setErrorLogger: UaPackage['setWarningLogger']
  readonly setDebugLogger: UaPackage['setWarningLogger']
  readonly nodesets: Readonly<Record<'standard', string>>
}

/** What openssl reads where nothing else is said. */
const opensslConf = '/etc/ssl/openssl.cnf'

/** Loads it. Rejects with CONFIG_INVALID where that fails. */
export async function loadUaPackage(): Promise<UaPackage> {
  // It sets this variable for a moment and then back, and an absent one to the text "undefined", which openssl in children refuses.
  process.env['OPENSSL_CONF'] ??= existsSync(opensslConf) ? opensslConf : '/dev/null'
  return loadOptional<UaPackage>({ name: 'node-opcua', neededBy: 'opcua', more: ', on Node 20 node-opcua@2.182.0' })
}
