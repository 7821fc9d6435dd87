/** The texts of the panel about a new model. */
import type { BundleState } from '../../bundle-messages.js'

const ms = (value: number): string => `${value.toFixed(1)} ms`

export const bundleText = {
  title: { shadow: 'A new model is compared', probation: 'A new model is on probation', settled: 'Model rolled back' },
  lead: {
    shadow: ({ name, candidate, installed }: BundleState) =>
      `${name} ${candidate?.version} sees some of the pictures; ${installed ? installed.version : 'the model that comes with gapcam'} gives the labels.`,
    probation: ({ name, installed, before }: BundleState) =>
      `${name} ${installed?.version} gives the labels. Faults bring ${before ? before.version : 'the model before'} back.`,
    settled: ({ fault }: BundleState) => fault ?? '',
  },
  none: 'No picture has been compared yet.',
  agreement: 'Same label',
  agreed: (share: number, compared: number) =>
    `${(100 * share).toFixed(1)} % of ${compared} ${compared === 1 ? 'picture' : 'pictures'}`,
  failed: 'Failed',
  failedOn: (n: number) => `${n} ${n === 1 ? 'picture' : 'pictures'}`,
  time: 'Time',
  times: (candidate: number, serving: number) => `${ms(candidate)}, the present model ${ms(serving)}`,
  drift: 'Score',
  drifts: (drift: number) =>
    `${drift < 0 ? '−' : '+'}${Math.abs(drift).toFixed(3)} against the present model, in the mean`,
  waits: 'Waits',
  change: (from: string, to: string, count: number) => `${from} → ${to}: ${count}`,
  picture: (from: string, to: string) => `${from} → ${to}`,
  confirm: { shadow: 'Let it serve', probation: 'Confirm' },
  rollback: { shadow: 'Drop it', probation: 'Roll back' },
  sure: {
    shadow: { title: 'Drop the new model?', hint: 'It is not taken from afar again.', yes: 'Drop it', no: 'Cancel' },
    probation: {
      title: 'Roll the model back?',
      hint: 'gapcam starts again with the model before. This one is not taken from afar again.',
      yes: 'Roll back',
      no: 'Cancel',
    },
  },
  restarts: 'Done. gapcam starts again with the other model.',
  confirmed: 'The model is confirmed.',
  dropped: 'The new model is dropped.',
}
