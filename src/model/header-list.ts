// Headers as they are on the wire: ordered, repeatable, case kept. [name, value] pairs; look-ups ignore case.

export type HeaderPair = readonly [name: string, value: string]
export type HeaderList = readonly HeaderPair[]

export function getHeader(headers: HeaderList, name: string): string | undefined {
  const wanted = name.toLowerCase()
  for (const [given, value] of headers) if (given.length === wanted.length && given.toLowerCase() === wanted) return value
  return undefined
}

export function withoutHeader(headers: HeaderList, name: string): HeaderList {
  const wanted = name.toLowerCase()
  return headers.some(([given]) => given.toLowerCase() === wanted)
    ? headers.filter(([given]) => given.toLowerCase() !== wanted)
    : headers
}

/** Replaces the first of that name where it stands and drops further ones; appends if there was none. */
export function setHeader(headers: HeaderList, name: string, value: string): HeaderList {
  const wanted = name.toLowerCase()
  const index = headers.findIndex(([given]) => given.toLowerCase() === wanted)
  if (index < 0) return [...headers, [name, value]]
  return headers.flatMap((pair, at): HeaderPair[] =>
    at === index ? [[name, value]] : pair[0].toLowerCase() === wanted ? [] : [pair],
  )
}
