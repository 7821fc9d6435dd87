/** What Home Assistant is told about the device. run/device.ts finds it out. */

/** What there is to announce; what a board or a build does not have is absent, never null. */
export interface DeviceFacts {
  readonly node: string
  readonly cameras: readonly string[]
  readonly version: string
  /** Every label of the model. */
  readonly labels: readonly string[]
  /** The board's name, or what kind of computer it is. */
  readonly board?: string | undefined
  /** Fields that R/health has on this board. */
  readonly health: {
    readonly hasTemperature: boolean
    readonly hasUndervoltage: boolean
    readonly hasThrottling: boolean
  }
  /** Whether C/heat has pictures. */
  readonly hasHeat: boolean
  /** Where the page is, with scheme; absent while it listens on loopback. */
  readonly pageUrl?: string | undefined
}
