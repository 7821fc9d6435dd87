/**
 * Topics of groups: a command on `<base>/groups/<group>/request/<command>` is taken by every node of the group. Each answers on
 * its own response topic, or on the one that the request names (MQTT 5), which must lie below
 * `<base>/groups/<group>/response`: a sender cannot make a node write elsewhere.
 */

/** Where commands to a group go, and where their answers may be asked for. */
export function groupTopics(base: string, group: string): { readonly request: string; readonly response: string } {
  const root = `${base}/groups/${group}`
  return { request: `${root}/request`, response: `${root}/response` }
}

/** The response topic that a request asks for, where the group's answers may go there; else null. */
export function answerTopic(base: string, group: string, asked: string | undefined): string | null {
  const root = `${groupTopics(base, group).response}/`
  return asked?.startsWith(root) && /^[a-z0-9-]{1,64}$/.test(asked.slice(root.length)) ? asked : null
}
