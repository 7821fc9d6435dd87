/** The texts of the Teach tab. */
import type { TeachStatus } from '../../teach-messages.js'

/** What a zone is taught. */
export type Noun = 'picture' | 'clip'

export const nounOf = ({ clip }: Pick<TeachStatus, 'clip'>): Noun => (clip ? 'clip' : 'picture')

const counted = (n: number, noun: Noun): string => `${n} ${noun}${n === 1 ? '' : 's'}`

const percent = (share: number): string => `${Math.round(share * 100)} %`

export const teachText = {
  title: 'Teach',
  target: 'What is taught',
  whole: 'The whole picture',
  hint: ({ clip }: Pick<TeachStatus, 'clip'>) =>
    clip
      ? `Press a state just when it has happened: the last ${((clip.frames * clip.everyMs) / 1000).toFixed(1)} seconds are taught. Five different clips of each state are a good start.`
      : 'Press a state while the camera shows it. Hold the button to take a picture every second. Five different pictures of each state are a good start.',
  none: 'None of these',
  newState: 'New state',
  addState: 'Add state',
  count: counted,
  capture: (state: string, n: number, noun: Noun) => `Teach ${state}, ${counted(n, noun)} so far`,
  undo: 'Undo',
  undone: 'The last change is taken back',
  notAState: 'unknown is the name of what is none of the states: choose another one',
  same: (noun: Noun) => `No new ${noun} was taught: this one is taught already`,
  fitting: 'Fitting…',
  untaught: 'Nothing is taught here yet.',
  serving: 'Your states answer here.',
  oneState: 'Two states are needed. Until then those that were taught before go on.',
  notServing: 'These states do not answer here.',
  serve: 'Let them answer',
  now: (label: string) => `Now: ${label}`,
  good: {
    title: 'How good is it',
    unknown: (noun: Noun) => `Two states with two ${noun}s each are needed to tell.`,
    accuracy: (share: number) => percent(share),
    interval: ([low, high]: readonly [number, number]) => `${percent(low)} to ${percent(high)}`,
    how: (noun: Noun) => `right on ${noun}s that it was not taught, with their 95 % interval`,
    groups: (n: number, noun: Noun) => `${n} groups: ${noun}s within ten minutes are left out together`,
    advice: (isEnough: boolean, advice: string) => (isEnough ? advice : `Not enough yet. ${advice}`),
    table: 'Taught states against what they are called',
    taught: 'taught',
    doubts: 'Probably under the wrong state',
    doubt: (called: string) => `looks like ${called}`,
    move: (state: string) => `Move to ${state}`,
  },
  drift: {
    title: 'It needs teaching',
    why: (why: string, since: string) => `Since ${since}: ${why}. Say what these pictures show, or take new ones.`,
    example: (n: number) => `Example ${n}`,
    unsaid: 'It shows …',
    teach: 'Teach them',
    taught: (n: number) => `${n} ${n === 1 ? 'example is' : 'examples are'} taught`,
  },
  pictures: {
    title: (noun: Noun) => (noun === 'clip' ? 'Clips' : 'Pictures'),
    drop: (noun: Noun) =>
      noun === 'clip'
        ? 'Drop animated pictures (GIF, WebP), Motion JPEG or recordings (.gcrec) on a state, or choose files; each is one clip.'
        : 'Drop pictures or a folder on a state, or choose files.',
    none: (noun: Noun) => `There are no ${noun}s yet. Name a state first.`,
    files: (state: string) => `Add files to ${state}`,
    add: 'Add files',
    fresh: 'new',
    of: (state: string, called: string, noun: Noun) =>
      `${noun === 'clip' ? 'Clip' : 'Picture'} of ${state}${called === '' ? '' : `, now called ${called}`}`,
    remove: 'Remove',
    moveTo: 'Move to',
    more: (n: number) => `Show ${n} more`,
    rename: 'Rename',
    renameOf: (state: string) => `Rename ${state}`,
    renameHint: 'The name of another state joins both.',
    newName: 'New name',
    joins: (from: string, to: string, noun: Noun) => ({
      title: `Join ${from} and ${to}?`,
      hint: `All ${noun}s of ${from} become ${noun}s of ${to}.`,
      yes: 'Join',
      no: 'Cancel',
    }),
    cancel: 'Cancel',
    delete: 'Delete',
    deleteOf: (state: string) => `Delete ${state}`,
    sure: (state: string, n: number, noun: Noun) => ({
      title: `Delete ${state}?`,
      hint: `Its ${counted(n, noun)} ${n === 1 ? 'is' : 'are'} no longer taught. Undo brings the state back.`,
      yes: 'Delete',
      no: 'Cancel',
      isLoss: true,
    }),
    reading: (done: number, all: number) => `${done} of ${all} files`,
    skipped: (n: number, noun: Noun) => `${n} ${n === 1 ? 'file is' : 'files are'} no ${noun} or too large`,
  },
  exportPictures: (noun: Noun) => `Save the ${noun}s (ZIP)`,
  exportModel: 'Save the model (ONNX)',
  fault: (status: TeachStatus) => `The last change could not be fitted: ${status.fault}`,
} as const
