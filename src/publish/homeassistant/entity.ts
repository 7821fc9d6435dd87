/** One entity of a device, as discovery describes it to Home Assistant. */
export type Entity = Readonly<Record<string, unknown>> & { readonly platform: string }
/** By key within the device. */
export type Entities = Readonly<Record<string, Entity>>

/** What an entity has besides its names. */
export type Fields = Readonly<Record<string, unknown>>
/** Makes one entity of a device. */
export type Make = (platform: string, key: string, name: string, fields: Fields) => Entity
