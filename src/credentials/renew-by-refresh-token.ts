// Renewing by a refresh token that the server may exchange for another each time (RFC 6749 §6, RFC 9700 §4.14): one that is
// sent twice costs the whole grant. So it is marked as spent before it goes out, by compare-and-set for all replicas, and the
// mark is taken back only where the token provably still serves. What came of it is kept before anybody uses it.
import { randomUUID } from 'node:crypto'
import type { Errand, SharedState, TokenRequest } from '../model/credential-scheme.ts'
import { type AccessToken, accessToken, fromShared, isBetter, toShared } from './access-token.ts'
import { type Fate, fateOf, firstGrant, type Grant, grantSchema, type Outcome, succeeds } from './refresh-grant.ts'
import { readSharedText, sharedStateOf, waitForOther } from './shared-token.ts'
import type { Renewal, Renewed } from './token.ts'
import { type NoToken, readToken } from './token-answer.ts'
import { isStoreAway, unavailable } from './token-fault.ts'

interface Kept {
  readonly grant: Grant
  /** null: nothing is kept yet. */
  readonly version: number | null
}

/** A grant that this replica has marked, and the request that it goes out with. */
interface Attempt {
  readonly id: string
  readonly before: Grant
  readonly request: TokenRequest
}

/** How often an outcome is offered to a store that is away, ms. */
const OFFER_MS = 500

const STORE_AWAY = 'the store cannot be reached, and a refresh token is not used where its successor cannot be kept'

/** `first`: the refresh token that the secret was stored with. */
export function renewByRefreshToken(first: string, compose: (refreshToken: string) => TokenRequest): Renewal {
  const outcomes = createOutcomes(first)
  /** Marks that may stand in the store and that nothing was sent under, as this replica alone knows. */
  const unsent = new Set<string>()

  /** Marks `kept` as spent. null: somebody else was first. */
  async function mark({ grant, version }: Kept, state: SharedState): Promise<Attempt | null> {
    const attempt: Attempt = { id: randomUUID(), before: grant, request: compose(grant.refreshToken) }
    unsent.add(attempt.id)
    const text = JSON.stringify({ ...grant, spentBy: attempt.id })
    const marked = await state.write(text, { ttlMs: null, ifVersion: version })
    unsent.delete(attempt.id)
    return marked ? attempt : null
  }

  async function spend({ id, before, request }: Attempt, state: SharedState, errand: Errand): Promise<Renewed> {
    const { clock, exchange } = errand.ports
    const askedAt = clock.now()
    const answer = await exchange(request, errand)
    const read = readToken(answer)
    const token = 'because' in read ? null : accessToken(read, askedAt, clock.now())
    const fate = fateOf(answer)
    const after = succeeds(before, { attempt: id, fate, answer, access: token && toShared(token, clock) })
    const kept = after === null || (await outcomes.keep({ attempt: id, before, after }, state, errand))
    if ('because' in read) throw unavailable(errand, because(read, fate, errand), read.privateDetail)
    if (token === null || !kept) throw unavailable(errand, STORE_AWAY)
    return { token, outcome: 'renewed' }
  }

  async function renewForAll(present: AccessToken | null, errand: Errand): Promise<Renewed> {
    const { clock } = errand.ports
    const state = sharedStateOf(errand)
    let lease: Awaited<ReturnType<SharedState['lease']>> = null
    try {
      await outcomes.settle(state, errand)
      for (;;) {
        const kept = await readKept(first, state, errand)
        const { access, spentBy, refused } = kept.grant
        const found = access && fromShared(access, clock)
        if (found && isBetter(found, present, clock.now())) return { token: found, outcome: 'shared' }
        if (lease) {
          if (spentBy !== null && !unsent.has(spentBy)) throw unavailable(errand, lost(refused, errand))
          const attempt = await mark(kept, state)
          if (attempt) return await state.hold(spend(attempt, state, errand))
        } else {
          lease = await state.lease() // and looks again: the last holder may have been done in between
          if (lease === null) await waitForOther(clock)
        }
      }
    } finally {
      void lease?.release()
    }
  }

  return async (present, errand) => {
    try {
      return await renewForAll(present, errand)
    } catch (error) {
      throw isStoreAway(error) ? unavailable(errand, STORE_AWAY) : error
    }
  }
}

async function readKept(first: string, state: SharedState, errand: Errand): Promise<Kept> {
  const kept = await state.read()
  if (kept === null) return { grant: firstGrant(first), version: null }
  const grant = readSharedText(kept.text, grantSchema)
  if (grant) return { grant, version: kept.version }
  throw unavailable(
    errand,
    `what the store keeps of its refresh token cannot be opened; give back the sealing key that is missing, or ${grantAnew(errand)}`,
  )
}

/** What came of attempts, held until the store has acknowledged it. */
function createOutcomes(first: string) {
  let unsettled: Outcome | null = null

  async function settle(state: SharedState, errand: Errand): Promise<void> {
    while (unsettled !== null) {
      const outcome = unsettled
      const { grant, version } = await readKept(first, state, errand)
      // Else it was acknowledged although the answer was lost, and others have gone on from it.
      const ours =
        version === null ||
        grant.spentBy === outcome.attempt ||
        (grant.spentBy === null && grant.outcomeOf === outcome.before.outcomeOf)
      const settled = !ours || (await state.write(JSON.stringify(outcome.after), { ttlMs: null, ifVersion: version }))
      if (settled && unsettled === outcome) unsettled = null
    }
  }

  /** A store that is away is offered it until it takes it. */
  function settleLater(state: SharedState, errand: Errand): Promise<void> {
    return new Promise((resolve) => {
      const again = (): void => {
        errand.ports.clock.after(OFFER_MS, () => settle(state, errand).then(resolve, again))
      }
      again()
    })
  }

  return {
    settle,
    /** False: the store is away, and it is offered later. */
    async keep(outcome: Outcome, state: SharedState, errand: Errand): Promise<boolean> {
      unsettled = outcome
      try {
        await settle(state, errand)
        return true
      } catch {
        void state.hold(settleLater(state, errand))
        return false
      }
    },
  }
}

function because(read: NoToken, fate: Fate, errand: Errand): string {
  if (fate === 'unknown')
    return `${read.because}, and whether its refresh token was used up is not known, so that it is not sent again; ${grantAnew(errand)}`
  return fate === 'refused' ? `${read.because}; ${grantAnew(errand)}` : read.because
}

function lost(refused: boolean, errand: Errand): string {
  const why = refused
    ? 'its token endpoint does not take its refresh token any more'
    : 'its refresh token was sent and what came of it is not known, so that it is not sent again'
  return `${why}; ${grantAnew(errand)}`
}

const grantAnew = ({ credential }: Errand): string =>
  `have a new refresh token granted, and store it with "sallyport secrets rotate ${credential}"`
