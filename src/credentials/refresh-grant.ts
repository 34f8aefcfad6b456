// What is kept of a grant with refresh tokens, and what becomes of it by the answer to one that was sent. Decisions only.
import { z } from 'zod'
import type { TokenAnswer } from '../model/credential-scheme.ts'
import { type SharedToken, sharedToken } from './access-token.ts'
import { errorCode, readRefreshToken, readToken } from './token-answer.ts'

export const grantSchema = z.strictObject({
  refreshToken: z.string().min(1),
  /** The attempt that sends it, or has sent it; null: it may be sent. */
  spentBy: z.string().nullable(),
  /** The attempt that this came of; null: none yet. */
  outcomeOf: z.string().nullable(),
  /** The server does not take it any more. */
  refused: z.boolean(),
  access: sharedToken.nullable(),
})

export type Grant = z.infer<typeof grantSchema>

export interface Outcome {
  readonly attempt: string
  readonly before: Grant
  readonly after: Grant
}

/**
 * Of a refresh token that was to be sent. `used`: it did its work, and the answer says what serves from now on. `unused`: it
 * was not sent, or the server refused the request before it looked at it. `refused`: it is worth nothing. `unknown`: it may be
 * used up, and what took its place is lost.
 */
export type Fate = 'used' | 'unused' | 'refused' | 'unknown'

const TOO_MANY_REQUESTS = 429

export function fateOf(answer: TokenAnswer): Fate {
  if (answer.kind === 'none') return answer.sent === 'no' ? 'unused' : 'unknown'
  if (!('because' in readToken(answer)) || readRefreshToken(answer) !== null) return 'used'
  const code = errorCode(answer)
  if (code === 'invalid_grant') return 'refused'
  return code !== null || answer.status === TOO_MANY_REQUESTS ? 'unused' : 'unknown'
}

export function firstGrant(refreshToken: string): Grant {
  return { refreshToken, spentBy: null, outcomeOf: null, refused: false, access: null }
}

/** The grant after that attempt; null: the mark stays. RFC 6749 §6: without a new refresh token the old one serves on. */
export function succeeds(
  before: Grant,
  came: { readonly attempt: string; readonly fate: Fate; readonly answer: TokenAnswer; readonly access: SharedToken | null },
): Grant | null {
  const { attempt, fate, answer, access } = came
  const after = { ...before, outcomeOf: attempt }
  switch (fate) {
    case 'used':
      return {
        ...after,
        refreshToken: readRefreshToken(answer) ?? before.refreshToken,
        spentBy: null,
        access: access ?? before.access,
      }
    case 'unused':
      return { ...after, spentBy: null }
    case 'refused':
      return { ...after, spentBy: attempt, refused: true }
    case 'unknown':
      return null
  }
}
