// Path globs of policies. `*` is any run of characters within a segment, `**` any run at all; everything else stands for
// itself, case-sensitive. No regular expression: the cost is pattern × path at worst, whatever they contain.

/** True where the whole of `path` matches. `/repos/**` matches `/repos/` and all below it, not `/repos` itself. */
export function matchesGlob(glob: string, path: string): boolean {
  const star = glob.indexOf('*')
  if (star < 0) return glob === path
  if (!path.startsWith(glob.slice(0, star))) return false
  if (star === glob.length - 2 && glob.endsWith('**')) return true
  return matchesTokens(tokens(glob.slice(star)), path, star)
}

/** Single characters, `*` and `**`. */
function tokens(glob: string): string[] {
  const found: string[] = []
  for (let at = 0; at < glob.length; at++) {
    if (glob[at] === '*' && glob[at + 1] === '*') {
      found.push('**')
      at++
    } else found.push(glob[at] as string)
  }
  return found
}

/** Walks the path once with the set of all places in the pattern where a match may stand. */
function matchesTokens(pattern: readonly string[], path: string, from: number): boolean {
  let places: Uint8Array = skipStars(pattern, new Uint8Array(pattern.length + 1).fill(1, 0, 1))
  let next: Uint8Array = new Uint8Array(pattern.length + 1)
  for (let at = from; at < path.length; at++) {
    const char = path[at] as string
    next.fill(0)
    for (let place = 0; place < pattern.length; place++) {
      if (places[place] === 0) continue
      const token = pattern[place]
      if (token === '**' || (token === '*' && char !== '/')) next[place] = 1
      else if (token === char) next[place + 1] = 1
    }
    const before = places
    places = skipStars(pattern, next)
    next = before
  }
  return places[pattern.length] === 1
}

/** A star may also stand for nothing. */
function skipStars(pattern: readonly string[], places: Uint8Array): Uint8Array {
  for (let place = 0; place < pattern.length; place++) {
    const token = pattern[place]
    if (places[place] === 1 && (token === '*' || token === '**')) places[place + 1] = 1
  }
  return places
}
