// Which key goes into a request, which is set aside and for how long, and what a request that is refused does next.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createKeyPools } from '../../../src/credentials/key-pool.ts'
import { SCHEMES } from '../../../src/credentials/schemes/index.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { OpenCredential, Sequel } from '../../../src/model/credential-scheme.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import type { Secret, SecretPool } from '../../../src/model/ports.ts'
import { restAfter } from '../../../src/policy/key-cooldown.ts'
import { aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { anErrand, tokenPorts } from '../../support/token-ports.ts'

type Pick = SecretPool['pick']

function aPool({ pick = 'round-robin' as Pick, size = 3, members = null as readonly OpenCredential[] | null } = {}) {
  const clock = createFakeClock()
  const logged: unknown[][] = []
  const values = Array.from({ length: size }, (_, i) => ({ token: `canary-${i + 1}` }))
  const secret: Secret = {
    ...{ name: 'crm', version: 3, scheme: 'bearer', origins: [], callers: [], values: values[0] ?? {} },
    pool: { pick, members: values },
  }
  const openPool = createKeyPools({ clock, log: { log: (...line) => void logged.push(line) }, restAfter })
  const pool = openPool(secret, members ?? values.map((value) => SCHEMES.bearer.open(value)))
  const hear = (request: HopRequest, status: number, rawHeaders: string[] = [], answered = 0): Sequel =>
    pool.dialogue?.heard(request, aResponse({ status, rawHeaders }), answered) ?? null
  return {
    clock,
    pool,
    logged,
    hear,
    inject: (request: HopRequest): number | undefined => pool.inject(request).member,
    /** One request through the keys: which of them it went out with, until `answer` has no sequel. */
    go(answer: (member: number) => number | [status: number, ...rawHeaders: string[]], over = repeatable()): number[] {
      const members: number[] = []
      for (let answered = 0; ; answered++) {
        const member = pool.inject(over).member ?? 0
        members.push(member)
        const [status, ...rawHeaders] = [answer(member)].flat() as [number, ...string[]]
        if (hear(over, status, rawHeaders, answered) === null) return members
      }
    },
  }
}

const repeatable = (yes = true): HopRequest => aRequest({ plan: aPlan({ repeatable: yes }) })
const ok = (): number => 200

const isUnavailable =
  (retryAfter: number) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof GatewayError && error.type === 'CredentialUnavailable', String(error))
    assert.match(error.message, /^secret "crm" is not available: all of its \d keys .* set aside, the next for another \d+ ms/)
    assert.equal(error.retryAfter, retryAfter)
    return true
  }

describe('the key that is picked', () => {
  test('round-robin: one after the other, and the key itself goes out', () => {
    const { pool, go } = aPool()
    assert.deepEqual([go(ok), go(ok), go(ok), go(ok)].flat(), [1, 2, 3, 1])
    assert.deepEqual(pool.inject(repeatable()), {
      headers: [{ name: 'Authorization', value: 'Bearer canary-2', masked: 'Bearer ***' }],
      query: null,
      member: 2,
    })
  })

  test('least-used: the one with the fewest in flight, then the one that was used least', () => {
    const { inject, hear, pool } = aPool({ pick: 'least-used' })
    const requests = Array.from({ length: 4 }, () => repeatable())
    assert.deepEqual(requests.map(inject), [1, 2, 3, 1])
    const [first = repeatable(), second = repeatable()] = requests
    hear(second, 200)
    assert.equal(inject(repeatable()), 2, 'it has none in flight')
    pool.dialogue?.failed?.(first)
    assert.equal(inject(repeatable()), 3, 'all have one in flight, and this was used once')
  })

  test('least-used counts right whatever comes of the requests', () => {
    const outcome = fc.constantFrom(200, 404, 401, 429, 503, 0)
    return fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(outcome, fc.boolean()), { maxLength: 20 }), async (outcomes) => {
        const { clock, pool, hear, inject } = aPool({ pick: 'least-used' })
        for (const [status, safe] of outcomes) {
          const request = repeatable(safe)
          await clock.advance(3_600_001)
          for (let sequel: Sequel = 'renewed', i = 0; sequel !== null; i++) {
            pool.inject(request)
            sequel = status === 0 ? null : hear(request, status, ['Retry-After', '0'], i)
            if (status === 0) pool.dialogue?.failed?.(request)
          }
        }
        await clock.advance(3_600_001)
        assert.deepEqual(new Set([1, 2, 3].map(() => inject(repeatable()))), new Set([1, 2, 3]))
      }),
      { numRuns: 50 },
    )
  })
})

describe('after a 429', () => {
  test('another key is tried at once, and the one that met it rests as long as it was told', async () => {
    const { clock, go } = aPool()
    assert.deepEqual(
      go((member) => (member === 1 ? [429, 'Retry-After', '7'] : 200)),
      [1, 2],
    )
    assert.deepEqual([go(ok), go(ok), go(ok)].flat(), [3, 2, 3])
    await clock.advance(6999)
    assert.deepEqual(go(ok), [2])
    await clock.advance(1)
    assert.deepEqual([go(ok), go(ok)].flat(), [3, 1])
  })

  test('without a word it rests 30 s, doubling until it is accepted again', async () => {
    const { clock, inject, hear } = aPool({ size: 2 })
    const limit = (request = repeatable(false)): void => {
      const member = inject(request)
      hear(request, member === 1 ? 429 : 200)
    }
    for (const seconds of [30, 60, 120]) {
      limit()
      await clock.advance(seconds * 1000 - 1)
      assert.deepEqual([inject(repeatable()), inject(repeatable())], [2, 2])
      await clock.advance(1)
    }
    const accepted = repeatable()
    assert.equal(inject(accepted), 1)
    hear(accepted, 200)
    inject(repeatable())
    limit()
    await clock.advance(30_000)
    assert.equal(inject(repeatable()), 2)
    assert.equal(inject(repeatable()), 1)
  })

  test('a request that must not be repeated gets its answer, and the key rests all the same', () => {
    const { go } = aPool()
    assert.deepEqual(
      go(() => 429, repeatable(false)),
      [1],
    )
    assert.deepEqual([go(ok), go(ok), go(ok)].flat(), [2, 3, 2])
  })

  test('three more keys are tried, no more, and none twice', () => {
    assert.deepEqual(
      aPool({ size: 9 }).go(() => 429),
      [1, 2, 3, 4],
    )
    assert.deepEqual(
      aPool({ size: 2 }).go(() => 429),
      [1, 2],
    )
  })

  test('where all rest, nothing goes out, and it is said when the next is ready', async () => {
    const { clock, inject, go } = aPool({ size: 2 })
    go((member) => [429, 'Retry-After', member === 1 ? '20' : '5'])
    await clock.advance(1000)
    assert.throws(() => inject(repeatable()), isUnavailable(4000))
    await clock.advance(4000)
    assert.equal(inject(repeatable()), 2)
    assert.equal(inject(repeatable()), 2)
  })

  test('many at once count as one', async () => {
    const { clock, inject, hear } = aPool({ size: 2 })
    const requests = Array.from({ length: 20 }, () => repeatable(false))
    for (const request of requests) inject(request)
    requests.forEach((request, i) => {
      if (i % 2 === 0) hear(request, 429)
    })
    await clock.advance(30_000)
    assert.deepEqual(new Set([inject(repeatable()), inject(repeatable())]), new Set([1, 2]))
  })
})

describe('after a 401', () => {
  test('another key is tried at once; the one that met it rests five minutes, and the log says so', async () => {
    const { clock, logged, go } = aPool()
    assert.deepEqual(
      go((member) => (member === 1 ? 401 : 200)),
      [1, 2],
    )
    const facts = { credential: 'crm@3#1', status: 401, because: 'it was refused', afterMs: 300_000 }
    assert.deepEqual(logged, [['warn', 'key set aside', facts]])
    await clock.advance(299_999)
    assert.deepEqual([go(ok), go(ok)].flat(), [3, 2])
    await clock.advance(1)
    assert.deepEqual([go(ok), go(ok)].flat(), [3, 1])
  })

  test('that every key meets, the request is at fault and none rests', () => {
    const { go } = aPool()
    assert.deepEqual(
      go(() => 401),
      [1, 2, 3],
    )
    assert.deepEqual([go(ok), go(ok), go(ok)].flat(), [1, 2, 3])
  })

  test('the last key that is ready goes on: a caller cannot have them all set aside', () => {
    const { go } = aPool()
    for (let i = 0; i < 9; i++) go(() => 401, repeatable(false))
    assert.deepEqual([go(ok), go(ok)].flat(), [3, 3])
  })
})

describe('the keys’ own dialogues', () => {
  const CHALLENGE = ['WWW-Authenticate', 'Digest realm="r", qop="auth", nonce="n1"']

  test('a digest challenge is answered with the key that it came to; only then is another tried', () => {
    const members = ['a', 'b'].map((username) => SCHEMES.digest.open({ username, password: 'canary' }))
    const { hear, pool } = aPool({ members, size: 2 })
    const request = repeatable()
    const sent = (): [number | undefined, string | undefined] => {
      const { member, headers } = pool.inject(request)
      return [member, /username="(\w)"/.exec(headers[0]?.value ?? '')?.[1]]
    }
    assert.deepEqual(sent(), [1, undefined])
    assert.equal(hear(request, 401, CHALLENGE, 0), 'challenge')
    assert.deepEqual(sent(), [1, 'a'])
    assert.equal(hear(request, 401, CHALLENGE, 1), 'renewed')
    assert.deepEqual(sent(), [2, undefined])
    assert.equal(hear(request, 401, CHALLENGE, 2), 'challenge')
    assert.deepEqual(sent(), [2, 'b'])
    assert.equal(hear(request, 200, [], 3), null)
  })

  const tokenPool = (exchange: (clientId: string | undefined) => object) => {
    const values = (clientId: string) => ({ tokenUrl: 'https://auth.example.com/t', clientId, clientSecret: 's' })
    const members = ['a', 'b'].map((clientId) => SCHEMES['oauth2-client-credentials'].open(values(clientId)))
    const scene = aPool({ members, size: 2 })
    const ports = tokenPorts({
      clock: scene.clock,
      exchange: async ({ basic }) => {
        const { status = 200, ...fields } = exchange(basic?.username) as { status?: number }
        return { kind: 'answer', status, body: Buffer.from(JSON.stringify(fields)) }
      },
    })
    const send = async (request: HopRequest): Promise<string | undefined> => {
      await scene.pool.obtain?.(anErrand(ports), request)
      return scene.pool.inject(request).headers[0]?.value
    }
    return { ...scene, send }
  }

  test('each key has a token of its own, renewed once before another key is tried', async () => {
    let issued = 0
    const { clock, hear, send } = tokenPool((clientId) => ({ access_token: `${clientId}${++issued}`, expires_in: 3600 }))
    const request = repeatable()
    assert.equal(await send(request), 'Bearer a1')
    hear(request, 200)
    assert.equal(await send(repeatable()), 'Bearer b2')
    await clock.advance(5000)
    assert.equal(await send(request), 'Bearer a1')
    assert.equal(hear(request, 401, [], 0), 'renewed')
    assert.equal(await send(request), 'Bearer a3')
    assert.equal(hear(request, 401, [], 1), 'renewed')
    assert.equal(await send(request), 'Bearer b2')
    assert.equal(hear(request, 200, [], 2), null)
  })

  test('where one has no token, another is used', async () => {
    const { send } = tokenPool((clientId) => (clientId === 'a' ? { status: 503 } : { access_token: 'b' }))
    assert.equal(await send(repeatable()), 'Bearer b')
    assert.equal(await send(repeatable()), 'Bearer b')
  })

  test('where none has one, the call hears why', async () => {
    const { send } = tokenPool(() => ({ status: 503 }))
    await assert.rejects(send(repeatable()), /its token endpoint answered 503/)
  })
})
