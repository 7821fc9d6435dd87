/** The texts of the Galleries tab. */
import type { GalleryState, LeftRow } from '../../gallery-messages.js'

const pictures = (n: number): string => `${n} ${n === 1 ? 'picture' : 'pictures'}`
const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`

export const galleryText = {
  title: 'Which one is it',
  hint: 'A gallery tells names by their nearest picture: which cat, whose van. Enrol a few pictures of each name. They stay on this device until you forget them. People must agree before they are enrolled.',
  gallery: 'Gallery',
  name: 'Name',
  zone: 'Zone',
  now: 'Enrol the present picture',
  files: 'Enrol files',
  needs: 'Give the gallery and the name first',
  enrolled: (name: string, n: number) => `${name} has ${pictures(n)} now`,
  skipped: (n: number) => `${n} ${n === 1 ? 'file is' : 'files are'} no picture or too large`,
  none: 'There is no gallery yet.',
  empty: 'Nothing is enrolled.',
  threshold: ({ threshold, rate, impostors, accepted, genuine, rejected }: NonNullable<GalleryState['calibration']>) =>
    `A name needs a cosine of ${threshold.toFixed(2)}. ${accepted} of ${impostors} strangers reach it (${percent(rate)} may).` +
    (rejected > 0 ? ` ${rejected} of ${genuine} pictures of the names do not: enrol more like them.` : ''),
  seen: 'Seen now',
  unused: 'No zone answers with it.',
  serve: 'Let a zone answer',
  serving: (zone: string) => `${zone} answers with it`,
  pictures,
  rename: 'Rename',
  renameTitle: (name: string) => `Rename ${name}`,
  renameHint: 'The name of another one joins both.',
  newName: 'New name',
  joins: (from: string, to: string) => ({
    title: `Join ${from} and ${to}?`,
    hint: `All pictures of ${from} become pictures of ${to}.`,
    yes: 'Join',
    no: 'Cancel',
  }),
  cancel: 'Cancel',
  forget: 'Forget',
  sure: (name: string) => ({
    title: `Forget ${name}?`,
    hint: 'The pictures, the vectors and every model that holds them are deleted from this device.',
    yes: 'Forget',
    no: 'Cancel',
    isLoss: true,
  }),
  forgotten: (name: string, left: readonly LeftRow[]) =>
    left.length === 0
      ? `${name} is forgotten; nothing of it had left this device`
      : `${name} is forgotten here, but it had left this device: ${left.map(({ what }) => what).join('; ')}`,
  remove: 'Delete this gallery',
  removeSure: (gallery: string) => ({
    title: `Delete ${gallery}?`,
    hint: 'All names with their pictures, vectors and models are deleted from this device.',
    yes: 'Delete',
    no: 'Cancel',
    isLoss: true,
  }),
  leftTitle: 'Has left this device',
  left: ({ atMs, what, names }: LeftRow) => `${new Date(atMs).toLocaleString()}: ${what} (${names.join(', ')})`,
} as const
