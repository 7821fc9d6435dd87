/**
 * Every operational fault gapcam can meet: one row a code, with the exit status it leads to, whether trying again
 * can help, and what a person can do. A programmer's mistake is a TypeError made by `expected`.
 */
import { redact } from './secrets.js'

/**
 * Exit statuses of the command line. Signals end with 128 + number (130 SIGINT, 143 SIGTERM). `unforeseen` is an error
 * without a row below: a mistake of ours. With `hung`
 * (EX_SOFTWARE of sysexits.h) something did not get on, with `output` (EX_IOERR) stdout did not take the results, with
 * `restart` (EX_TEMPFAIL) somebody asked for a restart, or a lost GPU needs one; a service manager that restarts on
 * failure starts gapcam again.
 */
export const exitStatus = {
  done: 0,
  unforeseen: 1,
  usage: 2,
  camera: 3,
  model: 4,
  broker: 5,
  hung: 70,
  output: 74,
  restart: 75,
} as const

interface ErrorRow {
  readonly status: number
  readonly retryable: boolean
  /** One line: what to do about it. */
  readonly hint: string
}

export const errorTable = {
  CONFIG_INVALID: { status: 2, retryable: false, hint: 'See gapcam config schema, or docs/configuration.md.' },
  USAGE: { status: 2, retryable: false, hint: 'See gapcam --help.' },
  SERVICE_FAILED: {
    status: 2,
    retryable: false,
    hint: 'gapcam service install --print shows the unit, for an installation by hand.',
  },
  PORT_IN_USE: { status: 5, retryable: false, hint: 'Choose another port, or stop the program that holds it.' },
  CAMERA_NOT_FOUND: { status: 3, retryable: true, hint: 'gapcam cameras lists what is there.' },
  CAMERA_BUSY: { status: 3, retryable: true, hint: 'Stop the program that holds the camera, or choose another one.' },
  CAMERA_PERMISSION: {
    status: 3,
    retryable: false,
    hint: 'Add the user to the group that owns the device, then log in again.',
  },
  CAMERA_LOST: { status: 3, retryable: true, hint: 'Check the cable and the power supply.' },
  CAMERA_STALLED: { status: 3, retryable: true, hint: 'Look whether another program gets pictures from it.' },
  CAMERA_FORMAT: { status: 3, retryable: false, hint: 'gapcam cameras lists the formats that the camera offers.' },
  CAMERA_TOOL_MISSING: { status: 3, retryable: false, hint: 'Install the program that this kind of source needs.' },
  FRAME_INVALID: { status: 3, retryable: true, hint: 'The frame is dropped and counted.' },
  RECORDING_INVALID: {
    status: 3,
    retryable: false,
    hint: 'Record again; a recording that was only cut is replayed up to there.',
  },
  RECORDING_NOT_WRITTEN: { status: 3, retryable: true, hint: 'Free space on the disk, or name another folder.' },
  PICTURE_INVALID: { status: 3, retryable: false, hint: 'The picture cannot be decoded; replace it.' },
  MODEL_NOT_FOUND: { status: 4, retryable: false, hint: 'Check the path of the model file.' },
  MODEL_INVALID: { status: 4, retryable: false, hint: 'The file is damaged or not an ONNX model; fetch it again.' },
  MODEL_UNSUPPORTED: {
    status: 4,
    retryable: false,
    hint: 'gapcam model info names what is not covered; --engine auto falls back to onnxruntime.',
  },
  MODEL_INPUT_SIZE: { status: 4, retryable: false, hint: 'The graph fixes its input size; leave --input-size out.' },
  NO_HEAT_MAP: {
    status: 4,
    retryable: false,
    hint: 'Heat maps need a head of global average pooling and linear layers; see docs/heat.md.',
  },
  LABELS_MISMATCH: { status: 4, retryable: false, hint: 'Give one label a line, as many as the model has outputs.' },
  MANIFEST_INVALID: {
    status: 4,
    retryable: false,
    hint: 'See docs/configuration.md for the fields of a model manifest.',
  },
  ENGINE_UNAVAILABLE: {
    status: 4,
    retryable: false,
    hint: 'gapcam model info says why; npm run build builds the native engine.',
  },
  TUNING_NOT_WRITTEN: {
    status: 4,
    retryable: true,
    hint: 'Make the folder of the model writable, or copy the model to one that is.',
  },
  ENGINE_FAILED: { status: 4, retryable: true, hint: 'Try --engine onnxruntime and report the model.' },
  OUTPUT_NOT_WRITTEN: { status: 74, retryable: false, hint: 'Free space where stdout goes, or send it elsewhere.' },
  STAGE_HUNG: {
    status: 70,
    retryable: true,
    hint: 'gapcam ends, so that the service manager starts it again; hungAfterMs is the bound.',
  },
  REPLAY_DIFFERS: {
    status: 4,
    retryable: false,
    hint: 'The first stage that differs is where to look; docs/recording.md says what each means.',
  },
  BROKER_UNREACHABLE: { status: 5, retryable: true, hint: 'Check the address and that the broker runs.' },
  OUTBOX_NEWER: {
    status: 5,
    retryable: false,
    hint: 'Update gapcam, or move the folder away: gapcam reads no format that it does not know.',
  },
  OUTBOX_LOCKED: {
    status: 5,
    retryable: true,
    hint: 'Stop the other gapcam, or give each a --node or a state directory of its own.',
  },
  BROKER_REFUSED: { status: 5, retryable: true, hint: 'Check user, password and access rules of the broker.' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** Names from a file or a network may hold anything; a sentence is one line and moves no cursor. */
export function printable(message: string): string {
  return message.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** An operational fault: something outside the program is not as it should be. */
export class GapcamError extends Error {
  readonly code: ErrorCode
  readonly exitStatus: number
  readonly retryable: boolean
  readonly hint: string

  /** `message` says what happened and to what, in one sentence; the table adds the rest. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super(printable(redact(message)), options?.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GapcamError'
    const row = errorTable[code]
    this.code = code
    this.exitStatus = row.status
    this.retryable = row.retryable
    this.hint = options?.hint ?? row.hint
  }
}

/** The one sentence for a wrong argument: `Expected X for Y but received Z of type T`. */
export function expected(what: string, name: string, received: unknown): TypeError {
  return new TypeError(`Expected ${what} for ${name} but received ${show(received)} of type ${typeof received}`)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value)
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(String).join(', ')}${value.length > 8 ? ', ...' : ''}]`
  return value !== null && typeof value === 'object' ? (value.constructor?.name ?? 'Object') : String(value)
}

/** The message of anything thrown, for a sentence of our own. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
