/** A connection to a broker as the publisher sees it. mqtt-client.ts makes one. */

export type ProtocolVersion = 4 | 5

/** PEM texts, or their bytes. */
export interface TlsOptions {
  readonly ca?: string | Buffer | undefined
  readonly cert?: string | Buffer | undefined
  readonly key?: string | Buffer | undefined
  /** The name in the broker's certificate, when it is not the host of the address. */
  readonly servername?: string | undefined
  /** Accepts any certificate: the connection is encrypted, but the broker may be anyone's. */
  readonly insecure?: boolean | undefined
}

export interface Credentials {
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly tls?: TlsOptions | undefined
}

export interface ConnectOptions extends Credentials {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`; user and password in it win over `user` and `password`. */
  readonly url: string
  /** Default `gapcam-<node>`, so that the broker recognises this node. */
  readonly clientId?: string | undefined
  /**
   * The present credentials; called before each further connection, because passwords and certificates are replaced
   * while gapcam runs. If it throws, the last ones are used again. Default: they never change.
   */
  readonly renew?: (() => Credentials) | undefined
  /** Default: 5, and 3.1.1 with a broker that does not speak it. */
  readonly protocol?: '5' | '3.1.1' | undefined
  /** A silent broker is noticed after 1.5 times this; default 15. */
  readonly keepaliveSeconds?: number | undefined
  /** How long the broker holds the last will back, so that a short break is not seen (MQTT 5); default 5. */
  readonly willDelaySeconds?: number | undefined
  /** Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** The connection is given up when messages wait and none is acknowledged for this time; default 10,000. */
  readonly ackTimeoutMs?: number | undefined
  /** False publishes nothing retained, for brokers that end the connection over it. Default true. */
  readonly retain?: boolean | undefined
}

export interface Message {
  readonly topic: string
  readonly payload: string | Buffer
  readonly qos: 0 | 1
  readonly isRetained: boolean
  /** Seconds after which the broker need not deliver it any more (MQTT 5). */
  readonly expirySeconds?: number | undefined
  /** Copied from the request that this answers (MQTT 5). */
  readonly correlationData?: Buffer | undefined
  /** For a retained message: called when the broker has accepted or refused it. */
  readonly onSettled?: (() => void) | undefined
}

/** A topic filter to listen to, and the highest QoS wanted. */
export interface Subscription {
  readonly filter: string
  readonly qos: 0 | 1
}

/** A message that arrives because of a subscription. */
export interface Incoming {
  readonly topic: string
  readonly payload: Buffer
  /** The broker had kept it from an earlier time. */
  readonly isRetained: boolean
  /** Properties of MQTT 5; empty with 3.1.1. */
  readonly properties: {
    /** Where the sender wants its answer. */
    readonly responseTopic?: string | undefined
    readonly correlationData?: Buffer | undefined
  }
}

/** Why a connection was not made, or ended. */
export type LossKind =
  /** No answer at the address, or not in time. */
  | 'unreachable'
  /** The broker said no: credentials, rights, quota. */
  | 'refused'
  /** The broker's certificate is not accepted. */
  | 'untrusted'
  /** The broker's certificate is not valid yet, by this machine's clock, which may not have been set. */
  | 'not_yet_valid'
  /** The broker does not speak this protocol version. */
  | 'protocol'
  /** Closed before the broker said yes or no. */
  | 'unanswered'
  /** Another client with this id took the connection over. */
  | 'taken_over'
  /** An acknowledgement did not come in time. */
  | 'silent'
  /** The connection broke. */
  | 'broken'
  /** This side closed it. */
  | 'closed'

export interface Loss {
  readonly kind: LossKind
  readonly message: string
  /** What to do about it, where that is known. */
  readonly hint?: string | undefined
}

/** What happened to a message: the broker has it, the broker refuses it (MQTT 5), or it is not known. */
export type Delivery = 'sent' | 'refused' | 'lost'

export interface Refusal {
  readonly filter: string
  readonly reason: string
}

export interface Connection {
  readonly protocol: ProtocolVersion
  /** Limit of unacknowledged messages that the broker allows (MQTT 5), at most 65,535. */
  readonly receiveMaximum: number
  /** Longest message with its topic that the broker takes, as it says itself (MQTT 5); Infinity where it does not say. */
  readonly maxPacketBytes: number
  /** Bytes that the socket has not taken yet. */
  readonly unsentBytes: number
  /**
   * Resolves when the broker has acknowledged it (QoS 1), the socket has taken it (QoS 0), or the connection is over.
   */
  publish(message: Message): Promise<Delivery>
  /** Resolves with the filters that the broker refuses, when it has answered or the connection is over. */
  subscribe(subscriptions: readonly Subscription[]): Promise<readonly Refusal[]>
  /** Resolves once, when the connection is over. Never rejects. */
  readonly lost: Promise<Loss>
  /**
   * Sends DISCONNECT, so that the broker discards the will; the socket is closed when it resolves, at the latest after
   * `timeoutMs`.
   */
  close(timeoutMs: number): Promise<void>
}

export type Attempt =
  | { readonly ok: true; readonly connection: Connection }
  | { readonly ok: false; readonly loss: Loss }

/** The version to try first; `wanted` is the only one that is allowed. */
export function firstVersion(wanted: ConnectOptions['protocol']): ProtocolVersion {
  return wanted === '3.1.1' ? 4 : 5
}

/**
 * The version to try after a loss, where the other one may help: the broker says that it does not speak this version,
 * or hangs up without an answer, as some do. Null: it cannot help, or is not allowed.
 */
export function otherVersion(
  wanted: ConnectOptions['protocol'],
  version: ProtocolVersion,
  kind: LossKind,
): ProtocolVersion | null {
  if (wanted !== undefined || (kind !== 'protocol' && kind !== 'unanswered')) return null
  return version === 5 ? 4 : 5
}

/** The name of a protocol version as users write it. */
export function versionName(version: ProtocolVersion): '5' | '3.1.1' {
  return version === 5 ? '5' : '3.1.1'
}
