/** Home Assistant's buttons that execute a command. */
import type { Entity, Make } from './entity.js'

/** What a button asks about, and the topic above all commands. */
export interface Place {
  readonly camera: string
  readonly zone?: string
  readonly request: string
}

export function buttonOf(make: Make, seen: Readonly<Record<string, unknown>>, { request, ...place }: Place) {
  return (key: string, name: string, icon: string, command: string): Entity =>
    make('button', key, name, {
      ...seen,
      icon,
      command_topic: `${request}/${command}`,
      payload_press: JSON.stringify(place),
    })
}
