// The text of an API key that the gateway makes: `sp_ID_SECRET`, the last six characters a checksum. Its id may be shown;
// its form alone says what it is, so that one that leaks is recognised wherever it turns up.
import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

export interface ApiKey {
  /** Stands in the key; names it in lists and to whoever revokes it. */
  readonly id: string
  /** The key itself: shown once, kept nowhere. */
  readonly key: string
  /** Lower-case hexadecimal. */
  readonly sha256: string
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 10
/** 62^43 is a little more than 2^256. */
const SECRET_LENGTH = 43
/** 62^6 holds a CRC-32. */
const CHECK_LENGTH = 6
const PREFIX = 'sp_'
const LENGTH = PREFIX.length + ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH
const FORM = /^sp_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}$/

export function makeApiKey(): ApiKey {
  const id = randomText(ID_LENGTH)
  const body = `${PREFIX}${id}_${randomText(SECRET_LENGTH)}`
  const key = body + checksum(body)
  return { id, key, sha256: sha256Of(key) }
}

/** Of a key's UTF-8, lower-case hexadecimal. */
export function sha256Of(key: string): string {
  return hash('sha256', key, 'hex')
}

/** The whole of `text` is such a key, of this installation or another. */
export function isApiKey(text: string): boolean {
  return text.length === LENGTH && FORM.test(text) && checksum(text.slice(0, -CHECK_LENGTH)) === text.slice(-CHECK_LENGTH)
}

/** Such a key stands somewhere in `text`. */
export function holdsApiKey(text: string): boolean {
  for (let at = text.indexOf(PREFIX); at >= 0; at = text.indexOf(PREFIX, at + 1))
    if (isApiKey(text.slice(at, at + LENGTH))) return true
  return false
}

function randomText(length: number): string {
  let text = ''
  while (text.length < length) text += DIGITS[randomInt(DIGITS.length)]
  return text
}

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  while (text.length < CHECK_LENGTH) {
    text = DIGITS[rest % DIGITS.length] + text
    rest = Math.floor(rest / DIGITS.length)
  }
  return text
}
