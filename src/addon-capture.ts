/** The addon's types of capturing from V4L2 devices and of their controls. */
import type { NativeFrame } from './frame.js'

/** native/binding/capture.cc */
export interface NativeCapture {
  readonly dropped: number
  /** Frames that were held too long and reclaimed. Reading such a frame fails. */
  readonly reclaimed: number
  open(): Promise<{
    readonly name: string
    readonly fourcc: string
    readonly width: number
    readonly height: number
    readonly stride: number
    readonly fps: number
  }>
  next(): Promise<CapturedFrame>
  /** Ends a pending `next`. */
  close(): void
}

export interface CapturedFrame extends NativeFrame {
  readonly seq: number
  readonly capturedNs: bigint
  readonly bytes: number
  copyTo(target: Uint8Array): void
  release(): void
}

export interface VideoDevice {
  readonly name: string
  readonly driver: string
  readonly bus: string
  readonly isCapture: boolean
  readonly formats: readonly {
    readonly fourcc: string
    readonly description: string
    readonly sizes: readonly (readonly [number, number])[]
  }[]
}

/** native/binding/controls.cc */
export interface VideoControl {
  /** V4L2's control id. */
  readonly id: number
  readonly name: string
  readonly kind: 'integer' | 'boolean' | 'menu'
  readonly min: number
  readonly max: number
  readonly step: number
  readonly default: number
  readonly value: number
  /** False while another control sets the value, such as automatic exposure. */
  readonly isActive: boolean
  readonly isReadOnly: boolean
  /** The entries of a menu. A device may skip numbers between min and max. */
  readonly menu: readonly { readonly value: number; readonly name: string }[]
}
