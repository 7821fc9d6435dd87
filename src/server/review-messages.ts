/** The messages about review, as schemas. */
import { z } from 'zod'

/** A picture that waits for a label, or has one. */
export const reviewPicture = z.object({
  name: z.string(),
  zone: z.string().describe("key of the zone; '' for a picture from a folder"),
  atMs: z.number(),
  why: z.string().describe('why it was kept: unsure, novel, changed, audit, reported or imported'),
  said: z.string().describe("what the model said; '' where it said nothing"),
  score: z.number(),
  label: z.string().nullable().describe('the label that a person gave it'),
})

/** The collector and the pictures that are kept. */
export const reviewState = z.object({
  isOn: z.boolean().describe('whether pictures are being kept'),
  pictures: z.int(),
  labelled: z.int(),
  bytes: z.int(),
  maxBytes: z.int(),
  kept: z.int().describe('pictures kept since the start'),
  left: z.int().describe('pictures that were worth a label and exceeded the limits'),
  fault: z.string().nullable().describe('why the last picture could not be kept'),
  labels: z.array(z.string()).describe('labels in use'),
  zones: z
    .record(z.string(), z.record(z.string(), z.int()))
    .describe("pictures with a label, by zone and label; zone '': from a folder"),
})

const group = z.object({
  id: z.string(),
  suggestion: z.string().nullable().describe('what the model says of most of them'),
  size: z.int(),
  distinct: z.int().describe('pictures when nearly equal ones count once'),
  pictures: z.array(z.array(reviewPicture)).describe('nearly equal pictures together'),
})

/** Groups of alike pictures without a label, the largest first. */
export const reviewGroups = z.object({
  groups: z.array(group),
  waiting: z.int().describe('pictures that were not looked at yet: ask again'),
})

export type ReviewState = z.infer<typeof reviewState>
export type ReviewPicture = z.infer<typeof reviewPicture>
export type ReviewGroup = z.infer<typeof group>
export type ReviewGroups = z.infer<typeof reviewGroups>
