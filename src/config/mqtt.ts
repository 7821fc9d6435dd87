/** The part `mqtt` of the configuration: where the broker is, how to log in, and what is published how often. */
import { z } from 'zod'
import { brokerSchemes, notEncrypted, plainAddress, takeBrokerApart, tlsOptionNames } from '../address/broker.js'

const example = 'such as mqtt://192.168.1.10:1883'

/** Why a text is no broker; null where it is one. Never repeats the text, which may hold a password. */
function brokerFault(text: string): string | null {
  if (text === 'embedded' || text === 'none') return null
  if (!/^(mqtts?|wss?):\/\//i.test(text))
    return `must be embedded, none, or a mqtt://, mqtts://, ws:// or wss:// address ${example}`
  const taken = takeBrokerApart(text)
  return 'fault' in taken
    ? `the address cannot be used: ${taken.fault}. User and password can be given as mqtt.username and mqtt.passwordFile instead`
    : null
}

/** Names the character that a topic must not contain. Null for a topic that can be used. */
export function topicFault(text: string): string | null {
  const at = text.search(/[#+\s\0]/)
  if (at >= 0) return `must not contain ${nameOf(text[at]!)} (character ${at + 1} of ${JSON.stringify(text)})`
  if (/^[$/]/.test(text)) return 'must begin with neither $ nor /'
  return text === '' ? 'must not be empty' : null
}

function nameOf(character: string): string {
  if (character === ' ') return 'a space'
  if (character === '\t') return 'a tab'
  return /[#+]/.test(character) ? `the wildcard ${character}` : 'a line break or another control character'
}

/** Text of this form as an MQTT topic; its message says which character is wrong. */
export function topicText(pattern: RegExp): z.ZodString {
  return z
    .string()
    .max(200)
    .regex(pattern, { error: ({ input }) => topicFault(String(input)) ?? 'must not begin or end with / or contain //' })
}

export const mqtt = z
  .strictObject({
    broker: z
      .string()
      .superRefine((text, context) => {
        const message = brokerFault(text)
        if (message !== null) context.addIssue({ code: 'custom', message })
      })
      .default('embedded')
      .describe('mqtt://, mqtts://, ws:// or wss:// URL, embedded, or none'),
    port: z
      .int()
      .min(0)
      .max(65535)
      .optional()
      .describe('port of the embedded broker; default 1883 or the next free one'),
    base: topicText(/^[^#+\s\0$/][^#+\s\0]*$/)
      .refine((text) => !text.endsWith('/'), 'must not end with /')
      .default('gapcam')
      .describe('first level of all topics'),
    username: z.string().optional().describe('user name at the broker'),
    password: z.string().optional().describe('password at the broker'),
    passwordFile: z.string().optional().describe('file with the password at the broker'),
    ca: z.string().optional().describe('file with the certificate of the authority that signed the broker’s'),
    cert: z.string().optional().describe('file with the client certificate'),
    key: z.string().optional().describe('file with the key of the client certificate'),
    servername: z.string().optional().describe('name in the broker’s certificate, where it differs from the host'),
    insecure: z.boolean().default(false).describe('do not check the broker’s certificate'),
    keepaliveS: z.int().min(5).max(600).default(15).describe('MQTT keep-alive interval in seconds'),
    ack: z
      .enum(['puback', 'application'])
      .default('puback')
      .describe('what removes an event from the outbox: the acknowledgement of the broker, or of a consumer on R/ack'),
    retain: z
      .boolean()
      .default(true)
      .describe('publish label, state and status retained; false for brokers that do not allow it'),
    birthJitterS: z
      .number()
      .min(0)
      .max(3600)
      .default(10)
      .describe(
        'longest time in seconds until Home Assistant’s birth message is answered; each device answers at a random moment before',
      ),
    stateEveryMs: z.number().min(0).default(10_000).describe('longest time between two state messages'),
    resultEveryMs: z
      .number()
      .min(-1)
      .default(-1)
      .describe('shortest time between two results on the result topic; -1 for no results'),
    imageEveryMs: z
      .number()
      .min(-1)
      .default(10_000)
      .describe('shortest time between two snapshots that are published because the label changed; -1 for none'),
    retainImages: z
      .boolean()
      .default(false)
      .describe('publish pictures retained, so that the broker keeps the last one'),
  })
  .superRefine((all, context) => {
    const taken = all.broker.includes('://') ? takeBrokerApart(all.broker) : null
    if (!taken || 'fault' in taken || brokerSchemes[taken.address.scheme]!.isEncrypted) return
    // A key can still be replaced by a service manager's credential: it is checked with the connection
    // (publish/target.ts).
    const name = tlsOptionNames.find((option) => option !== 'key' && Boolean(all[option]))
    if (name !== undefined)
      context.addIssue({ code: 'custom', path: [name], message: notEncrypted(plainAddress(taken.address)) })
  })
