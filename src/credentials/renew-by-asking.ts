// Renewing a token that may be asked for as often as one likes. Replicas share what one of them got; with the store away each
// asks for itself.
import type { Errand, SharedState, TokenRequest } from '../model/credential-scheme.ts'
import type { Clock } from '../model/ports.ts'
import { type AccessToken, accessToken, fromShared, isBetter, sharedToken, toShared } from './access-token.ts'
import { readSharedText, sharedStateOf, waitForOther } from './shared-token.ts'
import type { Renewal, Renewed } from './token.ts'
import { readToken } from './token-answer.ts'
import { isStoreAway, unavailable } from './token-fault.ts'

type Compose = (clock: Clock) => TokenRequest | Promise<TokenRequest>

/** `compose` is asked for each request; what it throws is told as a credential that cannot be used. */
export function renewByAsking(compose: Compose): Renewal {
  return async (present, errand) => {
    try {
      return await renewForAll(compose, present, errand)
    } catch (error) {
      if (!isStoreAway(error)) throw error
      return { token: await ask(compose, errand), outcome: 'renewed' }
    }
  }
}

async function renewForAll(compose: Compose, present: AccessToken | null, errand: Errand): Promise<Renewed> {
  const { clock } = errand.ports
  const state = sharedStateOf(errand)
  let lease: Awaited<ReturnType<SharedState['lease']>> = null
  try {
    for (;;) {
      const kept = await state.read()
      const shared = readSharedText(kept?.text, sharedToken)
      const found = shared && fromShared(shared, clock)
      if (found && isBetter(found, present, clock.now())) return { token: found, outcome: 'shared' }
      if (lease) {
        const token = await ask(compose, errand)
        await share(token, kept?.version ?? null, state, clock)
        return { token, outcome: 'renewed' }
      }
      lease = await state.lease() // and looks again: the last holder may have been done in between
      if (lease === null) await waitForOther(clock)
    }
  } finally {
    void lease?.release()
  }
}

async function ask(compose: Compose, errand: Errand): Promise<AccessToken> {
  const { clock, exchange } = errand.ports
  const request = await compose(clock)
  const askedAt = clock.now()
  const read = readToken(await exchange(request, errand))
  if ('because' in read) throw unavailable(errand, read.because, read.privateDetail)
  return accessToken(read, askedAt, clock.now())
}

/** It serves here, whether or not the others can be told. */
async function share(token: AccessToken, ifVersion: number | null, state: SharedState, clock: Clock): Promise<void> {
  const ttlMs = Math.floor(token.endsAt - clock.now())
  if (ttlMs < 1) return
  try {
    await state.write(JSON.stringify(toShared(token, clock)), { ttlMs, ifVersion })
  } catch (error) {
    if (!isStoreAway(error)) throw error
  }
}
