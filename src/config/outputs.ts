/** The parts `webhook`, `influx`, `modbus` and `opcua` of the configuration: further ways out, each off by default. */
import { z } from 'zod'

/** Text in which a person may write nothing, an http or an https address. A password belongs into a file. */
const address = z
  .string()
  .refine((text) => text === '' || (/^https?:\/\//.test(text) && URL.canParse(text)), {
    error: 'must be an http:// or https:// address',
  })
  .refine((text) => !URL.canParse(text) || new URL(text).password === '', {
    error: 'must hold no password; use a file for secrets',
  })
  .default('')

const templateFile = z.string().optional().describe('file with the template of what is sent; see docs/outputs.md')
const timeoutS = z.number().min(0.1).max(300).default(10).describe('longest time in seconds for one request')

export const webhook = z.strictObject({
  url: address.describe('address to which every event is posted as JSON; empty for none. See docs/outputs.md'),
  secretFile: z.string().optional().describe('file with the key of the signature in X-Gapcam-Signature'),
  templateFile,
  timeoutS,
})

export const influx = z.strictObject({
  url: address.describe('InfluxDB to which every event is written; empty for none. See docs/outputs.md'),
  version: z.literal([1, 2]).default(2).describe('interface of InfluxDB: 2 for 1.8 and later, 1 for earlier ones'),
  org: z.string().default('').describe('organization of InfluxDB'),
  bucket: z.string().min(1).default('gapcam').describe('bucket of InfluxDB; with version 1 its database'),
  tokenFile: z.string().optional().describe('file with the token of InfluxDB; for version 1 name:password'),
  templateFile,
  timeoutS,
})

export const modbus = z.strictObject({
  enabled: z.boolean().default(false).describe('serve the zones over Modbus TCP; see docs/outputs.md'),
  host: z.string().min(1).default('127.0.0.1').describe('address to listen on; Modbus has no passwords'),
  port: z.int().min(0).max(65535).default(1502).describe('port to listen on; 0 for any free one'),
  writeCoils: z.boolean().default(false).describe('let clients switch zones off and on by writing coils'),
  maxClients: z.int().min(1).max(64).default(8).describe('maximum clients at once'),
  templateFile,
})

export const opcua = z.strictObject({
  enabled: z.boolean().default(false).describe('serve the zones over OPC UA; needs the package node-opcua'),
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('address to listen on; others than loopback need security encrypt'),
  port: z.int().min(1).max(65535).default(4840).describe('port to listen on'),
  security: z
    .enum(['none', 'encrypt'])
    .default('none')
    .describe('encrypt: only clients whose certificates are trusted, and only encrypted; see docs/outputs.md'),
  pkiFolder: z.string().optional().describe('folder of certificates and keys; default opcua in the state directory'),
  username: z.string().optional().describe('name with which clients log in; default anyone'),
  passwordFile: z.string().optional().describe('file with the password of clients'),
  maxClients: z.int().min(1).max(64).default(8).describe('maximum clients at once'),
  templateFile,
})
