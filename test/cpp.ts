/** Finds the functions of C++ sources, for the tests that measure them. */

export interface CppFunction {
  readonly name: string
  readonly line: number
  readonly lines: number
}

/** The text with comments, strings (raw ones, as of assembly, too) and preprocessor lines blanked out; line breaks stay. */
function codeOf(text: string): string {
  const blank = (match: string): string => match.replace(/[^\n]/g, ' ')
  return text
    .replace(
      /\bR"(\w*)\([\s\S]*?\)\1"|\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])'/g,
      blank,
    )
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, blank)
}

const isScope =
  /^(?:extern\b|(?:inline\s+)?namespace\b)|\b(?:class|struct|union)\s+[\w:<>, ]*(?:\s+final)?\s*(?::[^:][\s\S]*)?$/
const isNoBody = /(?:^|\W)(?:enum|=)\s*\w*(?:\s*:\s*\w+)?\s*$|^enum\b/

/** The functions at namespace or class level, with the lines from the first of the signature to the closing brace. */
export function functionsOf(text: string): readonly CppFunction[] {
  const code = codeOf(text)
  const lineAt = (index: number): number => code.slice(0, index).split('\n').length
  const found: CppFunction[] = []
  const stack: { readonly isScope: boolean; readonly start: number; readonly head: string }[] = []
  let headStart = 0
  for (let i = 0; i < code.length; i++) {
    const c = code[i]
    if (c === '{') {
      const raw = code.slice(headStart, i)
      const head = raw.trim().replace(/^(?:public|private|protected):\s*/, '')
      stack.push({ isScope: isScope.test(head), start: headStart + raw.length - raw.trimStart().length, head })
      headStart = i + 1
    } else if (c === '}') {
      const block = stack.pop()
      headStart = i + 1
      const isFunction = block && !block.isScope && block.head.includes('(') && !isNoBody.test(block.head)
      if (!isFunction || stack.some((outer) => !outer.isScope)) continue
      const line = lineAt(block.start)
      const name = /(operator\W+?|[\w~:]+)\s*\(/.exec(block.head)?.[1] ?? block.head
      found.push({ name, line, lines: lineAt(i) - line + 1 })
    } else if (c === ';') headStart = i + 1
  }
  return found
}
