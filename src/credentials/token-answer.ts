// What a token endpoint answered (RFC 6749 §5), read. Nothing of an unexpected answer is repeated: it may hold what it was sent.
import type { TokenAnswer } from '../model/credential-scheme.ts'
import { headerValue } from './scheme.ts'

/** Where the answer does not say: short enough that a wrong guess ends soon, and a 401 renews in between. */
const UNSAID_LIFE_MS = 300_000

export interface IssuedToken {
  readonly value: string
  readonly lifeMs: number
}

export interface NoToken {
  readonly because: string
  readonly privateDetail?: string
}

type Fields = Readonly<Record<string, unknown>>

/** RFC 6749 §5.2, RFC 8707 §2, RFC 7521 §4: what may be repeated of an endpoint's own words. */
const ERROR_CODES: ReadonlySet<unknown> = new Set(
  'invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope invalid_target'.split(
    ' ',
  ),
)

/** RFC 6749 §5.1. */
export function readToken(answer: TokenAnswer): IssuedToken | NoToken {
  if (answer.kind === 'none') return answer
  const { status, body } = answer
  if (status !== 200) {
    const code = errorCode(answer)
    return { because: `its token endpoint answered ${status}${code === null ? '' : ` (${code})`}` }
  }
  const { access_token: value, token_type: type = 'bearer', expires_in: seconds } = parseObject(body) ?? {}
  if (typeof value !== 'string' || value === '') return { because: 'its token endpoint answered without an access token' }
  if (!headerValue.safeParse(value).success) return { because: 'its token endpoint gave a token that no header can carry' }
  if (String(type).toLowerCase() !== 'bearer') return { because: 'its token endpoint gave a token of another type than bearer' }
  const life = typeof seconds === 'string' ? Number(seconds) : seconds
  const known = typeof life === 'number' && Number.isFinite(life)
  return { value, lifeMs: known ? Math.max(0, life) * 1000 : UNSAID_LIFE_MS }
}

/** RFC 6749 §6: the refresh token that takes the place of the one that was sent; null: that one serves on. */
export function readRefreshToken(answer: TokenAnswer): string | null {
  if (answer.kind === 'none' || answer.status !== 200) return null
  const { refresh_token: next } = parseObject(answer.body) ?? {}
  return typeof next === 'string' && next !== '' ? next : null
}

/** The registered code of a refusal (RFC 6749 §5.2); null: it was none, or it did not say. */
export function errorCode(answer: TokenAnswer): string | null {
  if (answer.kind === 'none' || answer.status < 400) return null
  const code = parseObject(answer.body)?.error
  return ERROR_CODES.has(code) ? String(code) : null
}

function parseObject(body: Buffer): Fields | null {
  try {
    const parsed: unknown = JSON.parse(body.toString())
    return typeof parsed === 'object' && parsed !== null ? (parsed as Fields) : null
  } catch {
    return null
  }
}
