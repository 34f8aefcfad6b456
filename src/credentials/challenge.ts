// WWW-Authenticate as RFC 9110 §11.6.1 has it: several challenges in one header or several, quoted strings, commas between
// challenges and parameters alike. Never throws; what cannot be read is passed over.

export interface Challenge {
  /** Lower case. */
  readonly scheme: string
  /** Names in lower case, values unquoted. The first of a name counts. */
  readonly params: ReadonlyMap<string, string>
}

const GAP = /[\t ,]*/y
const SPACE = /[\t ]*/y
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[\t ]*(?:,|$))/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy

export function parseChallenges(header: string): Challenge[] {
  const scan = createScan(header)
  const challenges: { scheme: string; params: Map<string, string> }[] = []
  while (!scan.done()) {
    scan.take(GAP)
    const word = scan.take(TOKEN)
    if (word === null) {
      scan.skip()
      continue
    }
    const value = scan.assigned()
    if (value === null) {
      challenges.push({ scheme: word.toLowerCase(), params: new Map() })
      scan.token68()
      continue
    }
    const params = challenges.at(-1)?.params
    const name = word.toLowerCase()
    if (params && !params.has(name)) params.set(name, value)
  }
  return challenges
}

/** `name=value, name="value"` without a scheme, as in Authentication-Info. */
export function parseParams(header: string): ReadonlyMap<string, string> {
  return parseChallenges(`x ${header}`)[0]?.params ?? new Map()
}

function createScan(text: string) {
  let at = 0
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (!match) return null
    at += match[0].length
    return match[1] ?? match[0]
  }
  return {
    take,
    done: () => at >= text.length,
    skip() {
      at++
    },
    /** `= value` from here, or null and no step taken. */
    assigned(): string | null {
      const start = at
      take(SPACE)
      if (text[at] !== '=') {
        at = start
        return null
      }
      at++
      take(SPACE)
      if (text[at] === '"') return take(QUOTED)?.replace(/\\(.)/gs, '$1') ?? ''
      return take(TOKEN) ?? ''
    },
    /** What schemes such as Negotiate have instead of parameters. */
    token68() {
      if (text[at] !== ' ') return
      take(SPACE)
      take(TOKEN68)
    },
  }
}
