// The canary: a secret that tests plant wherever a secret can stand. It must never come out of the gateway, in any encoding.
// Every started test gateway scans all it gave away when it stops (see gateway.ts), so the whole suite is under this test.

/** Unmistakable, and long enough that no fragment of it occurs by chance. `"`, `%` and a letter beyond ASCII provoke escapes. */
export const CANARY = 'cnry-7Qz%2F"xK9é-tweet-4411'
/** The same for places that take visible ASCII only, such as bearer tokens. */
export const CANARY_TOKEN = 'cnry.7Qz2FxK9.tweet.4411'

/** The part of a base64 text that does not depend on what stands before and after the secret, for each of three offsets. */
function base64Cores(secret: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), secret])
    const text = padded.subarray(0, padded.length - (padded.length % 3)).toString('base64')
    // The first group mixes with what stands before.
    const core = text.slice(offset === 0 ? 0 : 4)
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

const percentAll = (bytes: Buffer): string => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
const escapeAll = (text: string): string => [...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')

function encodings(secret: string): string[] {
  const utf8 = Buffer.from(secret)
  const latin1 = Buffer.from(secret, 'latin1')
  return [utf8, latin1].flatMap((bytes) => [
    bytes.toString('latin1'),
    bytes.toString('hex'),
    percentAll(bytes),
    ...base64Cores(bytes),
    ...[secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), encodeURI(secret), escapeAll(secret)],
    new URLSearchParams({ s: secret }).toString().slice(2),
  ])
}

const NEEDLES = [...new Set([CANARY, CANARY_TOKEN].flatMap(encodings).map((needle) => needle.toLowerCase()))]

/** The encodings of a canary that stand in `text`; none is what every test wants. Case is ignored. */
export function findCanaries(text: string): string[] {
  const hay = text.toLowerCase()
  return NEEDLES.filter((needle) => hay.includes(needle))
}
