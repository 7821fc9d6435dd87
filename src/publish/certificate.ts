/**
 * What is wrong with a broker's certificate, and what to do about it: one table for the connection, `mqtt test` and
 * `doctor`.
 */
import type { Loss } from './mqtt.js'

/** By the error code that Node passes on from OpenSSL, or gives itself. */
const fixes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'Renew the broker’s certificate.',
  CERT_NOT_YET_VALID: 'Set the clock of this machine: by its time the certificate is not valid yet.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'The certificate is self-signed: name it as mqtt.ca.',
  SELF_SIGNED_CERT_IN_CHAIN: 'Name the certificate of the authority as mqtt.ca.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'Name the certificate of the authority as mqtt.ca, or let the broker send its whole chain.',
  UNABLE_TO_GET_ISSUER_CERT: 'Name the certificate of the root authority as mqtt.ca.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'Name the certificate of the authority as mqtt.ca.',
  CERT_SIGNATURE_FAILURE: 'mqtt.ca is not the authority that signed the broker’s certificate.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use a name that is in the certificate, or set mqtt.servername to one.',
}

/** TLS errors that are not about the broker's certificate. */
const handshakeFixes: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'The port does not speak TLS: use the broker’s TLS port (usually 8883).',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'The port does not speak TLS: use the broker’s TLS port (usually 8883).',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'The broker asks for a client certificate: set mqtt.cert and mqtt.key.',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'The broker asks for a client certificate, or for another TLS version.',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'The broker does not accept mqtt.cert: its authority did not sign it.',
}

/** What to do about an error of a TLS handshake with the broker, by its code. */
export function tlsFix(code: unknown): string | undefined {
  return typeof code === 'string' ? (fixes[code] ?? handshakeFixes[code]) : undefined
}

/** The loss that an error of the certificate means, by its code; null for any other error. */
export function certificateLoss(code: unknown, message: string): Loss | null {
  const hint = typeof code === 'string' ? fixes[code] : undefined
  if (hint === undefined) return null
  return code === 'CERT_NOT_YET_VALID'
    ? { kind: 'not_yet_valid', message: 'its certificate is not valid yet, by the clock of this machine', hint }
    : { kind: 'untrusted', message: `its certificate is not accepted: ${message}`, hint }
}
