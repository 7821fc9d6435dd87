/** What Home Assistant is told about the device. run/device.ts finds it out. */

/** A configured zone, for entities of its own in the camera's device. */
export interface ZoneFacts {
  readonly camera: string
  readonly id: string
  /** For people. */
  readonly name: string
  /** Every label of its model; empty where that did not load. */
  readonly labels: readonly string[]
  readonly hasHeat: boolean
  /** Whether its model says where things are. */
  readonly hasBoxes?: boolean | undefined
  /** Whether its model says what each place shows. */
  readonly hasMask?: boolean | undefined
  /** The states that it was taught; absent where it uses another model. */
  readonly taught?: readonly string[] | undefined
}

/** What there is to announce; what a board or a build does not have is absent, never null. */
export interface DeviceFacts {
  readonly node: string
  readonly cameras: readonly string[]
  /** Cameras that ask no question about the whole picture, but have zones. */
  readonly withoutOwn?: readonly string[] | undefined
  /** Default none. */
  readonly zones?: readonly ZoneFacts[] | undefined
  readonly version: string
  /** Every label of the node's model, which the cameras' own questions use. */
  readonly labels: readonly string[]
  /** The board's name, or what kind of computer it is. */
  readonly board?: string | undefined
  /** Fields that R/health has on this board. */
  readonly health: {
    readonly hasTemperature: boolean
    readonly hasUndervoltage: boolean
    readonly hasThrottling: boolean
  }
  /**
   * The node only looks now and then and is away in between (`gapcam once`): it takes no commands and sends no pictures.
   * `expiresS`: seconds after which what it said last is too old; absent: never.
   */
  readonly once?: { readonly expiresS?: number | undefined } | undefined
  /** Whether the node's model says where things are. */
  readonly hasBoxes?: boolean | undefined
  /** Whether the node's model says what each place shows. */
  readonly hasMask?: boolean | undefined
  /** Whether C/heat has pictures. */
  readonly hasHeat: boolean
  /** Where the page is, with scheme; absent while it listens on loopback. */
  readonly pageUrl?: string | undefined
}
