/**
 * Every operational fault that gapcam can meet, one row per code: the exit status, whether a retry can help, and a hint
 * for the user. docs/errors.md is generated from this table. A programmer's mistake is a TypeError made by `expected`.
 */
import { redact } from './secrets.js'

/**
 * Exit statuses of the command line. After a signal the status is 128 + its number (130 SIGINT, 143 SIGTERM).
 *
 * - `unforeseen`: an error without a row in `errorTable`, so a bug in gapcam.
 * - `hung` (EX_SOFTWARE of sysexits.h): a stage exceeded its deadline.
 * - `output` (EX_IOERR): stdout no longer takes the results.
 * - `restart` (EX_TEMPFAIL): a restart was requested, or a lost GPU needs one. A service manager that restarts on failure
 *   starts gapcam again.
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
  /** One line: what the user can do. */
  readonly hint: string
}

/** The table itself, by code. */
export const errorTable = {
  CONFIG_INVALID: {
    status: 2,
    retryable: false,
    hint: 'docs/configuration.md explains the keys and their values.',
  },
  USAGE: { status: 2, retryable: false, hint: 'gapcam COMMAND --help lists the arguments and flags.' },
  SERVICE_FAILED: {
    status: 2,
    retryable: false,
    hint: 'gapcam service install --print prints the unit for a manual installation.',
  },
  PORT_IN_USE: { status: 5, retryable: false, hint: 'Choose another port, or stop the program that uses it.' },
  CAMERA_NOT_FOUND: {
    status: 3,
    retryable: true,
    hint: 'Check the path or address of the source. gapcam cameras lists the cameras of this machine.',
  },
  CAMERA_BUSY: { status: 3, retryable: true, hint: 'Stop the program that uses the camera, or choose another camera.' },
  CAMERA_PERMISSION: {
    status: 3,
    retryable: false,
    hint: 'Add the user to the group that owns the device, then log in again.',
  },
  CAMERA_LOST: { status: 3, retryable: true, hint: 'Check the cable and the power supply.' },
  CAMERA_STALLED: { status: 3, retryable: true, hint: 'Check whether another program receives pictures from it.' },
  CAMERA_FORMAT: { status: 3, retryable: false, hint: 'gapcam cameras lists the formats that the camera offers.' },
  CAMERA_TOOL_MISSING: { status: 3, retryable: false, hint: 'Install the program that this kind of camera needs.' },
  FRAME_INVALID: {
    status: 3,
    retryable: true,
    hint: 'gapcam drops the frame, counts it and goes on with the next one.',
  },
  RECORDING_INVALID: {
    status: 3,
    retryable: false,
    hint: 'Record again. gapcam replay plays a recording that is only cut off up to the cut.',
  },
  RECORDING_NOT_WRITTEN: {
    status: 3,
    retryable: true,
    hint: 'Free some space on the disk, or choose a folder that this user may write.',
  },
  GALLERY_INVALID: {
    status: 4,
    retryable: false,
    hint: 'gapcam gallery list shows the galleries; forget removes a damaged one.',
  },
  GALLERY_NOT_WRITTEN: {
    status: 3,
    retryable: true,
    hint: 'Free some space on the disk of the state directory, and make it writable for this user.',
  },
  COLLECTED_NOT_WRITTEN: {
    status: 3,
    retryable: true,
    hint: 'Free some space on the disk of the state directory. Pictures that are kept already stay.',
  },
  PICTURE_INVALID: {
    status: 3,
    retryable: false,
    hint: 'gapcam reads JPEG, PNG, WebP, GIF, TIFF, AVIF and BMP. Replace a damaged file.',
  },
  MODEL_NOT_FOUND: { status: 4, retryable: false, hint: 'Check the path and the permissions of the model file.' },
  MODEL_INVALID: {
    status: 4,
    retryable: false,
    hint: 'Download the file again if it is damaged; else export the model again, as ONNX or TFLite.',
  },
  MODEL_UNSUPPORTED: {
    status: 4,
    retryable: false,
    hint: 'gapcam model info FILE shows what the model takes, computes and gives. docs/models.md says which models gapcam runs.',
  },
  HEAD_INVALID: {
    status: 4,
    retryable: false,
    hint: 'gapcam teach remove NAME removes a damaged head; teach it again, or import an export of it.',
  },
  HEAD_NOT_WRITTEN: {
    status: 3,
    retryable: true,
    hint: 'Free some space on the disk of the state directory. The head before serves meanwhile.',
  },
  MODEL_INPUT_SIZE: { status: 4, retryable: false, hint: 'The model fixes its input size. Omit --input-size.' },
  NO_HEAT_MAP: {
    status: 4,
    retryable: false,
    hint: 'Heat maps need a head of global average pooling and linear layers; see docs/heat.md.',
  },
  NO_MASK: {
    status: 4,
    retryable: false,
    hint: 'A mask says which label each place of the picture has; only segmenters have one, see docs/segment.md.',
  },
  BUNDLE_INVALID: {
    status: 4,
    retryable: false,
    hint: 'Get the bundle again from its maker, or pack it again with gapcam model pack.',
  },
  BUNDLE_REFUSED: {
    status: 4,
    retryable: false,
    hint: 'gapcam model verify says what is wrong. docs/bundles.md explains keys and trust.',
  },
  BUNDLE_NOT_KEPT: {
    status: 4,
    retryable: true,
    hint: 'Make the state directory writable, or free some space there.',
  },
  BUNDLE_STATE: {
    status: 4,
    retryable: false,
    hint: 'gapcam model list shows the bundles and what can be done with each.',
  },
  BACKUP_INVALID: {
    status: 4,
    retryable: false,
    hint: 'Take another backup; gapcam backup makes one.',
  },
  BACKUP_REFUSED: {
    status: 2,
    retryable: false,
    hint: 'docs/backup.md says how a new board takes the place of an old one.',
  },
  BACKUP_NOT_KEPT: {
    status: 4,
    retryable: true,
    hint: 'Make the folder writable, or free some space there.',
  },
  KEY_INVALID: {
    status: 2,
    retryable: false,
    hint: 'openssl genpkey -algorithm ed25519 makes a key; docs/bundles.md shows how.',
  },
  LABELS_MISMATCH: { status: 4, retryable: false, hint: 'Write one label per line, as many as the model has outputs.' },
  MANIFEST_INVALID: {
    status: 4,
    retryable: false,
    hint: 'docs/configuration.md lists the fields of a model manifest.',
  },
  ENGINE_UNAVAILABLE: {
    status: 4,
    retryable: false,
    hint: 'gapcam model info says why. npm run build builds the native engine.',
  },
  PACKAGE_MISSING: { status: 4, retryable: false, hint: 'Without --omit=optional npm install installs such packages.' },
  TUNING_NOT_WRITTEN: {
    status: 4,
    retryable: true,
    hint: 'Make the folder of the model writable, or copy the model to a writable folder.',
  },
  ENGINE_FAILED: { status: 4, retryable: true, hint: 'Try --engine onnxruntime, and report the model as a bug.' },
  OUTPUT_NOT_WRITTEN: {
    status: 74,
    retryable: false,
    hint: 'Free some space on the disk of the output, or redirect it to another file.',
  },
  STAGE_HUNG: {
    status: 70,
    retryable: true,
    hint: 'gapcam exits so that its service manager can restart it. hungAfterMs sets the limit.',
  },
  REPLAY_DIFFERS: {
    status: 4,
    retryable: false,
    hint: 'Start with the first stage that differs. docs/recording.md explains each stage.',
  },
  BROKER_UNREACHABLE: { status: 5, retryable: true, hint: 'Check the address, and that the broker is running.' },
  OUTBOX_NEWER: {
    status: 5,
    retryable: false,
    hint: 'Update gapcam, or move the folder away. This version cannot read the newer format.',
  },
  OUTBOX_UNUSABLE: {
    status: 5,
    retryable: true,
    hint: 'Make the state directory writable, free some space there, or set stateDir to another folder.',
  },
  OUTBOX_LOCKED: {
    status: 5,
    retryable: true,
    hint: 'Stop the other gapcam, or give each one its own --node or state directory.',
  },
  DATABASE_FAILED: {
    status: 74,
    retryable: true,
    hint: 'Check that the database is running, its disk has room, and this user may write. Nodes with mqtt.ack application keep their events meanwhile.',
  },
  DATABASE_NEWER: {
    status: 2,
    retryable: false,
    hint: 'Update gapcam, or give another database. This version does not touch newer tables.',
  },
  BROKER_REFUSED: {
    status: 5,
    retryable: true,
    hint: 'Check the user, the password and the access rules of the broker.',
  },
} as const satisfies Record<string, ErrorRow>

/** A code of the table. */
export type ErrorCode = keyof typeof errorTable

/**
 * Writes control characters as `\uXXXX`. Names that come from a file or a network may contain any character; an error must
 * stay on one line and must not control the terminal.
 */
export function printable(message: string): string {
  return message.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * An operational fault: something outside the program is wrong.
 *
 *     throw new GapcamError('PICTURE_INVALID', `${file}: the file does not exist`, { hint: 'Check the path.' })
 */
export class GapcamError extends Error {
  readonly code: ErrorCode
  readonly exitStatus: number
  readonly retryable: boolean
  readonly hint: string

  /** `message` is one sentence that says what happened to what. Secrets in it are masked. `hint` replaces the table's. */
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

/** Faults of one picture or of its result; the next picture may be good. */
const pictureFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['PICTURE_INVALID', 'FRAME_INVALID', 'ENGINE_FAILED'])

/** Whether a fault concerns one picture only: a command that works through many goes on with the next. */
export function isOfOnePicture(error: unknown): error is GapcamError {
  return error instanceof GapcamError && pictureFaults.has(error.code)
}

/** The error for a wrong argument of a function: `Expected X for Y but received Z of type T`. */
export function expected(what: string, name: string, received: unknown): TypeError {
  return new TypeError(`Expected ${what} for ${name} but received ${show(received)} of type ${typeof received}`)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value)
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(String).join(', ')}${value.length > 8 ? ', ...' : ''}]`
  return value !== null && typeof value === 'object' ? (value.constructor?.name ?? 'Object') : String(value)
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'a file with its name is in the way',
  EACCES: 'this user may not access it',
  EPERM: 'this user may not access it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota of this user is used up',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its symbolic links form a loop',
  EMFILE: 'too many files are open',
}

/**
 * Why a file or folder could not be read, in words that follow its path and a colon; for other errors their message.
 *
 *     throw new GapcamError('CONFIG_INVALID', `configuration ${file}: ${fileFaultOf(error)}`)
 */
export function fileFaultOf(error: unknown): string {
  const { code, path } = (error ?? {}) as NodeJS.ErrnoException
  // Node replaces bytes of a name that are not UTF-8 by U+FFFD, and then does not find the file.
  if (code === 'ENOENT' && path?.includes('\ufffd'))
    return 'it cannot be opened under this name, which is not valid UTF-8; rename it'
  return fileFaults[code ?? ''] ?? messageOf(error)
}

/** The same for a file that could not be written: what is missing then is its folder. */
export function writeFaultOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT' ? 'its folder does not exist' : fileFaultOf(error)
}

/** The message of anything thrown, to be quoted in an error of our own. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
