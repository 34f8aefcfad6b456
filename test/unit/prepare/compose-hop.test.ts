import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { HeaderList } from '../../../src/model/header-list.ts'
import type { Outbound } from '../../../src/model/hop.ts'
import { VERSION } from '../../../src/model/version.ts'
import { composeHop, type HopExtras } from '../../../src/prepare/compose-hop.ts'
import { anAdapter, aPlan, aUrl } from '../../support/builders.ts'

const UA = ['User-Agent', `sallyport/${VERSION}`] as const
const AE = ['Accept-Encoding', 'gzip, deflate, br, zstd'] as const
const ANY = ['Accept', '*/*'] as const

function anOutbound(over: Partial<Outbound> = {}): Outbound {
  return {
    hop: 0,
    method: 'GET',
    url: aUrl('https://api.example.com/'),
    headers: [],
    body: null,
    contentType: null,
    cookies: [],
    idempotencyKey: null,
    ...over,
  }
}

function headersOf(over: Partial<Outbound>, policy: Partial<AdapterPolicy> = {}, extras: Partial<HopExtras> = {}): HeaderList {
  const plan = aPlan({ adapter: anAdapter(policy) })
  return composeHop(anOutbound(over), plan, { cookie: null, requestId: 'r-1', traceparent: null, ...extras }).headers
}

describe('the headers of a hop', () => {
  const cases: readonly (readonly [
    name: string,
    given: Partial<Outbound>,
    policy: Partial<AdapterPolicy>,
    wanted: HeaderList,
  ])[] = [
    ['are the defaults', {}, {}, [UA, AE, ANY]],
    [
      'follow the defaults in the order and case given',
      {
        headers: [
          ['x-B', '1'],
          ['X-a', '2'],
        ],
      },
      {},
      [UA, AE, ANY, ['x-B', '1'], ['X-a', '2']],
    ],
    ['take the place of a default', { headers: [['accept', 'a/b']] }, {}, [UA, AE, ['accept', 'a/b']]],
    [
      'leave out what is null',
      {
        headers: [
          ['user-agent', null],
          ['X-None', null],
        ],
      },
      {},
      [AE, ANY],
    ],
    [
      'go out twice when given twice',
      {
        headers: [
          ['X-A', '1'],
          ['X-B', '2'],
          ['X-A', '3'],
        ],
      },
      {},
      [UA, AE, ANY, ['X-A', '1'], ['X-B', '2'], ['X-A', '3']],
    ],
    [
      'given twice for a default take its place and follow',
      {
        headers: [
          ['X-B', '2'],
          ['Accept', 'a'],
          ['Accept', 'b'],
        ],
      },
      {},
      [UA, AE, ['Accept', 'a'], ['X-B', '2'], ['Accept', 'b']],
    ],
    [
      'of the caller replace all that the adapter has of that name',
      { headers: [['x-v', '3']] },
      {
        headers: [
          ['X-V', '1'],
          ['X-W', '0'],
          ['X-V', '2'],
        ],
      },
      [UA, AE, ANY, ['x-v', '3'], ['X-W', '0']],
    ],
    [
      'removed and given again are given',
      {
        headers: [
          ['Accept', null],
          ['Accept', 'a'],
        ],
      },
      {},
      [UA, AE, ['Accept', 'a']],
    ],
    ['have the type of the body', { contentType: 'application/json' }, {}, [UA, AE, ANY, ['Content-Type', 'application/json']]],
    [
      'keep a given type',
      { contentType: 'application/json', headers: [['content-type', 'x/y']] },
      {},
      [UA, AE, ANY, ['content-type', 'x/y']],
    ],
    [
      'have the type of the body where null removed the adapter’s',
      { contentType: 'application/json', headers: [['Content-Type', null]] },
      { headers: [['Content-Type', 'x/y']] },
      [UA, AE, ANY, ['Content-Type', 'application/json']],
    ],
    [
      'have the idempotency key under the adapter’s name',
      { idempotencyKey: 'k' },
      { idempotencyHeader: 'X-Once' },
      [UA, AE, ANY, ['X-Once', 'k']],
    ],
    [
      'have one idempotency key',
      { idempotencyKey: 'k', headers: [['idempotency-key', 'other']] },
      {},
      [UA, AE, ANY, ['Idempotency-Key', 'k']],
    ],
  ]
  for (const [name, given, policy, wanted] of cases) {
    test(name, () => assert.deepEqual(headersOf(given, policy), wanted))
  }

  test('stand in the order: headers, cookie, content type, idempotency key, propagated', () => {
    const given = { headers: [['X-A', '1']], cookies: [['c', 'd']], contentType: 'x/y', idempotencyKey: 'k' } as const
    const names = headersOf(given, { propagate: ['x-request-id'] }).map(([name]) => name)
    assert.deepEqual(names.slice(3), ['X-A', 'Cookie', 'Content-Type', 'Idempotency-Key', 'x-request-id'])
  })

  test('of one call leave the defaults of the next alone', () => {
    headersOf({
      headers: [
        ['Accept', 'a'],
        ['User-Agent', null],
      ],
      cookies: [['a', 'b']],
    })
    assert.deepEqual(headersOf({}), [UA, AE, ANY])
  })
})

describe('the Cookie header', () => {
  const cases: readonly (readonly [
    name: string,
    persisted: AdapterPolicy['cookies'],
    jar: string | null,
    given: Outbound['cookies'],
    wanted: string | undefined,
  ])[] = [
    ['is absent without cookies', [], null, [], undefined],
    ['is the jar’s own', [], 'a=1; b=2; a=3', [], 'a=1; b=2; a=3'],
    ['has adapter, jar and caller in this order', [['a', '1']], 'b=2', [['c', '3']], 'a=1; b=2; c=3'],
    [
      'lets the jar beat the adapter, in its place',
      [
        ['a', '1'],
        ['z', '0'],
      ],
      'a=2',
      [],
      'a=2; z=0',
    ],
    [
      'lets the caller beat both',
      [['a', '1']],
      'a=2; b=2',
      [
        ['b', '3'],
        ['a', '4'],
      ],
      'a=4; b=3',
    ],
    ['keeps a name that the jar holds twice', [['z', '0']], 'a=1; b=2; a=3', [], 'z=0; a=1; a=3; b=2'],
    ['keeps equals signs in a value', [['z', '0']], 'a=b=c', [], 'z=0; a=b=c'],
  ]
  for (const [name, persisted, cookie, cookies, wanted] of cases) {
    test(name, () => {
      const headers = headersOf({ cookies }, { cookies: persisted }, { cookie })
      assert.equal(headers.find(([header]) => header === 'Cookie')?.[1], wanted)
    })
  }

  test('is the caller’s own where it gave one', () => {
    const headers = headersOf({ headers: [['cookie', 'x=y']], cookies: [['a', 'b']] }, {}, { cookie: 'c=d' })
    assert.deepEqual(headers.slice(3), [['cookie', 'x=y']])
  })
})

describe('Host', () => {
  test('is refused where the adapter does not open it, naming header and adapter', () => {
    assert.throws(
      () => headersOf({ headers: [['hOST', 'other.example']] }, { name: 'github' }),
      (error) => {
        assert.ok(error instanceof GatewayError)
        assert.equal(error.type, 'InvalidHeader')
        assert.match(error.message, /github.*allowHostHeader/s)
        assert.doesNotMatch(error.message, /other\.example/)
        assert.deepEqual(error.detail, [{ pointer: '/headers/hOST', message: error.message }])
        return true
      },
    )
  })

  test('is sent where the adapter opens it', () => {
    const headers = headersOf({ headers: [['Host', 'other.example']] }, { allowHostHeader: true })
    assert.deepEqual(headers.at(-1), ['Host', 'other.example'])
  })

  test('is not sent twice, even where the adapter opens it', () => {
    const twice = [
      ['Host', 'a.example'],
      ['Host', 'b.example'],
    ] as const
    assert.throws(
      () => headersOf({ headers: twice }, { allowHostHeader: true }),
      (error) => error instanceof GatewayError && error.type === 'InvalidHeader',
    )
  })

  test('cannot be removed', () => {
    const policy = { headers: [['Host', 'virtual.example']] as const }
    assert.deepEqual(headersOf({ headers: [['Host', null]] }, policy).at(-1), ['Host', 'virtual.example'])
  })
})

describe('what is propagated', () => {
  const extras = { requestId: 'r-9', traceparent: '00-a-b-01' }
  test('is nothing unless the adapter lists it', () => assert.deepEqual(headersOf({}, {}, extras), [UA, AE, ANY]))
  test('is what the adapter lists', () => {
    const headers = headersOf({}, { propagate: ['traceparent', 'X-Request-Id'] }, extras)
    assert.deepEqual(headers.slice(3), [
      ['traceparent', '00-a-b-01'],
      ['X-Request-Id', 'r-9'],
    ])
  })
  test('is no trace context where there is none', () => {
    assert.deepEqual(headersOf({}, { propagate: ['traceparent'] }, { traceparent: null }), [UA, AE, ANY])
  })
  test('gives way to the caller’s own, null included', () => {
    const given = {
      headers: [
        ['Traceparent', 'mine'],
        ['x-request-id', null],
      ],
    } as const
    const headers = headersOf(given, { propagate: ['traceparent', 'x-request-id'] }, extras)
    assert.deepEqual(headers.slice(3), [['Traceparent', 'mine']])
  })
})

test('a hundred thousand headers cost no more than a hundred thousand times one', () => {
  const headers = Array.from({ length: 100_000 }, (_, i) => [`x-${i >> 1}`, i % 3 ? '1' : null] as const)
  const started = performance.now()
  const kept = headersOf({ headers })
  assert.equal(kept.length, 3 + headers.filter(([, value]) => value !== null).length)
  assert.ok(performance.now() - started < 2000)
})

test('a composed hop carries the outbound it was made of, for the next hop', () => {
  const [outbound, plan] = [anOutbound({ hop: 2, body: Buffer.from('x') }), aPlan()]
  const request = composeHop(outbound, plan, { cookie: null, requestId: 'r', traceparent: null })
  assert.equal(request.outbound, outbound)
  assert.deepEqual([request.hop, request.plan, request.body, request.url], [2, plan, outbound.body, outbound.url])
})
