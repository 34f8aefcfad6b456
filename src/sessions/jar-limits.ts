// How much a jar may hold, and which cookies go where it is too much (RFC 6265 §5.3, §6.1). Pure.

export interface JarLimits {
  /** Characters of name, value, domain and path together; a longer cookie is ignored. */
  readonly cookieLength: number
  /** Cookies of one domain, so that one host cannot drive out another's. */
  readonly perDomain: number
  readonly cookies: number
  /** Characters of all cookies together, counted likewise. */
  readonly length: number
}

export const JAR_LIMITS: JarLimits = { cookieLength: 4096, perDomain: 50, cookies: 300, length: 262_144 }

export interface Held {
  readonly key: string
  readonly value: string
  readonly domain: string | null
  readonly path: string | null
}

export function heldLength({ key, value, domain, path }: Held): number {
  return key.length + value.length + (domain?.length ?? 0) + (path?.length ?? 0)
}

/** Those to remove so that the rest is within bounds. `cookies` come oldest first; the oldest go first. */
export function overflow<T extends Held>(cookies: readonly T[], limits: JarLimits): T[] {
  const ofDomain = new Map<string | null, number>()
  let kept = 0
  let length = 0
  const gone: T[] = []
  for (const cookie of cookies.toReversed()) {
    const count = (ofDomain.get(cookie.domain) ?? 0) + 1
    const size = heldLength(cookie)
    if (count > limits.perDomain || kept + 1 > limits.cookies || length + size > limits.length) {
      gone.push(cookie)
      continue
    }
    ofDomain.set(cookie.domain, count)
    kept++
    length += size
  }
  return gone
}
