// What a client certificate may be known by: its fingerprint, its URI and DNS names, its subject. One text each, so that a
// configured one is looked up rather than searched for.

/** A configured name; exactly one of the three. */
export interface CertificateName {
  /** Fingerprint, hexadecimal, colons or none. */
  readonly sha256?: string
  /** `spiffe://…` or another URI; else a DNS name. */
  readonly san?: string
  /** RFC 4514 attributes, such as `CN=api,O=Billing`, in any order. */
  readonly subject?: string
}

/** A certificate as node:crypto tells of it. */
export interface CertificateFacts {
  readonly fingerprint256: string
  /** An attribute a line. */
  readonly subject: string | undefined
  readonly subjectAltName: string | undefined
}

/** null: there is not exactly one name, or it is none that a certificate could have. */
export function certificateKey({ sha256, san, subject, ...rest }: CertificateName): string | null {
  const given = [sha256, san, subject].filter((name) => name !== undefined)
  if (given.length !== 1 || Object.keys(rest).length > 0) return null
  if (sha256 !== undefined) return fingerprintKey(sha256)
  if (san !== undefined) return san === '' ? null : sanKey(san.includes('://') ? 'URI' : 'DNS', san)
  return subjectKey((subject ?? '').split(/(?<!\\),/))
}

/** All that it may be known by. */
export function certificateKeys({ fingerprint256, subject, subjectAltName }: CertificateFacts): string[] {
  const sans = readAltNames(subjectAltName ?? '').map(([kind, name]) => sanKey(kind, name))
  return [fingerprintKey(fingerprint256), subjectKey((subject ?? '').split('\n')), ...sans].filter((key) => key !== null)
}

function fingerprintKey(written: string): string | null {
  const hex = written.replaceAll(':', '').toLowerCase()
  return /^[0-9a-f]{64}$/.test(hex) ? `sha256 ${hex}` : null
}

function sanKey(kind: string, name: string): string | null {
  if (kind === 'URI') return `uri ${name}`
  return kind === 'DNS' ? `dns ${name.toLowerCase()}` : null
}

/** The whole subject or nothing: one that has more to say is another. */
function subjectKey(attributes: readonly string[]): string | null {
  const trimmed = attributes.map((attribute) => attribute.trim())
  if (!trimmed.every((attribute) => /^[A-Za-z0-9.]+=./.test(attribute))) return null
  return `subject ${trimmed.toSorted().join('\n')}`
}

/** `DNS:a, URI:"b, c"`: what could be mistaken for a separator comes as a JSON string. Whatever does not fit makes all of it void. */
function readAltNames(text: string): (readonly [kind: string, name: string])[] {
  const found: (readonly [string, string])[] = []
  const one = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
  while (one.lastIndex < text.length) {
    const match = one.exec(text)
    if (!match) return []
    const [, kind = '', value = ''] = match
    found.push([kind, value.startsWith('"') ? (JSON.parse(value) as string) : value])
  }
  return found
}
