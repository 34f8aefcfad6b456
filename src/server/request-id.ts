// The name of one request on every answer, log line and audit record.
import { randomBytes } from 'node:crypto'
import { inOnePiece } from '../model/one-piece.ts'

const SANE = /^[A-Za-z0-9._:-]{1,128}$/

/** Takes X-Request-Id where it is a sane token, else makes one: random per process, counted within it. */
export function createRequestIds(): (given: string | string[] | undefined) => string {
  const prefix = `${randomBytes(9).toString('base64url')}-`
  let count = 0
  return (given) => (typeof given === 'string' && SANE.test(given) ? given : inOnePiece(prefix, (count++).toString(36)))
}
