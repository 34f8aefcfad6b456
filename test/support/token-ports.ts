// What a credential is obtained with, for unit tests: nothing shared, nothing told, and an endpoint that must not be asked unless
// the test says how it answers.
import { noSharedState } from '../../src/credentials/shared-state.ts'
import type { Errand, TokenPorts } from '../../src/model/credential-scheme.ts'
import { aMeter } from './builders.ts'
import { createFakeClock } from './fake-clock.ts'

export function tokenPorts(over: Partial<TokenPorts> = {}): TokenPorts {
  return {
    clock: createFakeClock(),
    exchange: () => Promise.reject(new Error('no token is needed here')),
    shared: () => noSharedState,
    meter: aMeter(),
    log: { log() {} },
    ...over,
  }
}

export function anErrand(ports: TokenPorts, over: Partial<Errand> = {}): Errand {
  return { credential: 'it', version: 1, member: null, requestId: 'r-1', ports, ...over }
}
