/** The parts `webhook` and `influx` of the configuration: further ways for events, each off by default. */
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
  org: z.string().default('').describe('organization of InfluxDB'),
  bucket: z.string().min(1).default('gapcam').describe('bucket (or database) of InfluxDB'),
  tokenFile: z.string().optional().describe('file with the token of InfluxDB'),
  templateFile,
  timeoutS,
})
