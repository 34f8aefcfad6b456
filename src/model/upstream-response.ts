// What an upstream answered, body read whole and content-encodings undone.

export interface UpstreamResponse {
  readonly status: number
  readonly reason: string
  /** As received: [name, value, …] flat, latin-1. */
  readonly rawHeaders: readonly string[]
  /** Decoded. Empty where there was none. */
  readonly body: Buffer
  /** ms from sending to the end of the response head. */
  readonly elapsed: number
  /** Of a 429: it was for one key of a pool, which sets its own keys aside. Absent: it was not. */
  readonly keyOfPool?: true
}

/** All values of a header, in order of arrival. */
export function headerValues(rawHeaders: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase()
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string
    if (given.length === wanted.length && given.toLowerCase() === wanted) values.push(rawHeaders[i + 1] as string)
  }
  return values
}

/** Values of a header joined by ', ' (RFC 9110 §5.3), or undefined. */
export function headerValue(rawHeaders: readonly string[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  let joined: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string
    if (given.length !== wanted.length || given.toLowerCase() !== wanted) continue
    const value = rawHeaders[i + 1] as string
    joined = joined === undefined ? value : `${joined}, ${value}`
  }
  return joined
}
