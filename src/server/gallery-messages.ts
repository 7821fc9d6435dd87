/** The messages about galleries, as schemas. */
import { z } from 'zod'

/** Something that a command has taken off the device. */
export const leftRow = z.object({ atMs: z.number(), what: z.string(), names: z.array(z.string()) })

/** A gallery. */
export const galleryState = z.object({
  gallery: z.string(),
  names: z.array(z.object({ name: z.string(), pictures: z.int(), ids: z.array(z.string()).describe('ids of them') })),
  calibration: z
    .object({
      threshold: z.number().describe('lower cosines are unknown'),
      rate: z.number().describe('share of impostors that may pass'),
      impostors: z.int(),
      accepted: z.int().describe('impostors that pass'),
      genuine: z.int().describe('pictures with another one of the same name'),
      rejected: z.int().describe('those that do not pass'),
    })
    .nullable()
    .describe('null: nothing is enrolled'),
  left: z.array(leftRow).describe('what has left the device, by commands of gapcam'),
})

export type GalleryState = z.infer<typeof galleryState>
export type LeftRow = z.infer<typeof leftRow>
