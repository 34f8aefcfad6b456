// Whether a text holds a secret, in whatever of the usual encodings: for texts that are kept and were written by somebody else, such
// as an answer that echoes what it was sent. Pure.

/** Shorter ones occur by chance. */
const SHORTEST = 6

export type HoldsSecret = (text: string) => boolean

/** Upper and lower case are one. */
export function secretDetector(secrets: readonly string[]): HoldsSecret {
  const needles = new Set(secrets.filter((secret) => secret.length >= SHORTEST).flatMap(encodings))
  return (text) => {
    const hay = text.toLowerCase()
    for (const needle of needles) if (hay.includes(needle)) return true
    return false
  }
}

function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const escaped = [...secret].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const form = new URLSearchParams({ s: secret.toWellFormed() }).toString().slice(2)
  const plain = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    encodeURI(secret.toWellFormed()),
    form,
  ]
  return [...plain, escaped, percent, bytes.toString('hex'), ...base64Cores(bytes)].map((text) => text.toLowerCase())
}

/** What does not depend on what stands before and after, for each of three offsets; both alphabets. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes])
    const text = padded.subarray(0, padded.length - (padded.length % 3)).toString('base64')
    const core = text.slice(offset === 0 ? 0 : 4)
    return core.length < SHORTEST ? [] : [core, core.replaceAll('+', '-').replaceAll('/', '_')]
  })
}
