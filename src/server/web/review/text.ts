/** The texts of the Review tab. */
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const reviewText = {
  title: 'Pictures worth a label',
  hint: 'Keeps pictures that the model is unsure of, that are unlike the taught ones, that follow a change, and a few at random. They stay on this device.',
  on: 'Collect pictures',
  off: 'Stop collecting',
  counts: (pictures: number, labelled: number, bytes: number, maxBytes: number) =>
    `${pictures} ${pictures === 1 ? 'picture' : 'pictures'}, ${labelled} with a label, ${megabytes(bytes)} of ${megabytes(maxBytes)}`,
  left: (n: number) => `${n} more were over the limits and are gone`,
  again: 'Look again',
  exportPictures: 'Save the labelled pictures (ZIP)',
  looking: 'Looking at the pictures…',
  waiting: (n: number) => `${n} pictures were not looked at yet`,
  empty: 'No picture waits for a label.',
  group: (size: number, distinct: number) =>
    size === 1
      ? '1 picture'
      : distinct === 1
        ? `${size} nearly equal pictures`
        : `${size} pictures, ${distinct} different`,
  groupName: (n: number) => `Group ${n}`,
  said: (label: string) => `the model says ${label}`,
  leaveOut: (label: string) => `Leave out: ${label || 'no label'}`,
  leaveOutHint: 'Press a picture to leave it out.',
  twins: (n: number) => `×${n}`,
  label: (name: string) => `All are ${name}`,
  other: 'Another label',
  give: 'Label',
  discard: 'Delete these',
  sure: (n: number) => ({
    title: `Delete ${n} ${n === 1 ? 'picture' : 'pictures'}?`,
    hint: 'Files, labels and vectors are deleted from this device.',
    yes: 'Delete',
    no: 'Cancel',
    isLoss: true,
  }),
  labelled: (n: number, label: string) => `${n} ${n === 1 ? 'picture is' : 'pictures are'} labelled ${label}`,
  teachTitle: 'Teach what is labelled',
  target: 'Zone',
  teach: 'Teach these pictures',
  nothing: 'No picture of this zone has a label yet.',
  labels: (labels: readonly (readonly [string, number])[]) =>
    `Labelled: ${labels.map(([label, n]) => `${label} ${n}`).join(', ')}. Nearly equal pictures count once.`,
  taught: (added: number, known: number) =>
    `${added} ${added === 1 ? 'picture is' : 'pictures are'} taught${known > 0 ? `, ${known} were taught before` : ''}`,
  back: 'Take the last label back',
  changed: 'The group has other pictures now; look again',
  why: {
    unsure: 'unsure',
    novel: 'unlike what was taught',
    changed: 'just changed',
    audit: 'at random',
    reported: 'reported as wrong',
    imported: 'imported',
  } as Readonly<Record<string, string>>,
} as const
