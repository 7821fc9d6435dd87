/** Where a connection goes and with which credentials: the one place where an address and the other options meet. */
import { brokerSchemes, notEncrypted, plainAddress, takeBrokerApart, tlsOptionNames } from '../address/broker.js'
import { GapcamError } from '../errors.js'
import type { ConnectOptions, Credentials, TlsOptions } from './mqtt.js'

export interface Target extends Credentials {
  /** The address without user and password. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly isEncrypted: boolean
}

/**
 * Throws CONFIG_INVALID for an address that cannot be used, and for TLS options with an unencrypted address: the
 * password would go over the network in clear. The message never repeats user or password.
 *
 *     targetOf({ url: 'mqtts://me:secret@broker', user: 'other' })
 *     // { url: 'mqtts://broker', host: 'broker', port: 8883, isEncrypted: true, user: 'me', password: 'secret', tls: undefined }
 */
export function targetOf({ url, user, password, tls }: ConnectOptions): Target {
  const taken = takeBrokerApart(url)
  if ('fault' in taken)
    throw new GapcamError('CONFIG_INVALID', `the broker's address cannot be used: ${taken.fault}`, {
      hint: 'An address looks like mqtt://192.168.1.10:1883. User and password can be given as mqtt.username and mqtt.passwordFile.',
    })
  const { address } = taken
  const { port, isEncrypted } = brokerSchemes[address.scheme]!
  const plain = plainAddress(address)
  const option = isEncrypted ? undefined : tlsOptionOf(tls)
  if (option !== undefined)
    throw new GapcamError('CONFIG_INVALID', `mqtt.${option}: ${notEncrypted(plain)}`, {
      hint: 'Encrypted brokers usually listen on port 8883 (mqtts://) or 443 (wss://).',
    })
  return {
    url: plain,
    host: address.host,
    port: address.port ?? port,
    isEncrypted,
    user: address.user ?? user,
    password: address.password ?? password,
    tls,
  }
}

/** The name of a TLS option that is set. */
function tlsOptionOf(tls: TlsOptions = {}): string | undefined {
  return tlsOptionNames.find((name) => Boolean(tls[name]))
}

/** The address as it may be shown. Throws as `targetOf`. */
export function plainUrl(url: string): string {
  return targetOf({ url }).url
}
