import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pairs } from '../../../src/model/descriptor.ts'
import type { Outbound } from '../../../src/model/hop.ts'
import type { PreparedUrl } from '../../../src/model/prepared-request.ts'
import { decideNextHop, type FollowVerdict, type NextHopFacts, nextOutbound } from '../../../src/policy/next-hop.ts'
import { aDescriptor, anAdapter, anOutbound, aUrl } from '../../support/builders.ts'

const HERE = aUrl('https://api.example.com/a')
const resolve = (from: PreparedUrl, location: string): PreparedUrl => aUrl(new URL(location, from.href).href)

function facts(over: Partial<NextHopFacts> = {}): NextHopFacts {
  return {
    ...{ method: 'GET', url: HERE, status: 302, location: '/b', followed: 0 },
    ...{ adapter: anAdapter(), descriptor: aDescriptor() },
    ...over,
  }
}

const policy = (follow: 'follow' | 'same-origin' | 'none') => anAdapter({ redirects: { follow, drop: [] } })

interface Returned {
  readonly over: Partial<NextHopFacts>
  readonly warning: string | null
  readonly because: string
}

const RETURNED: Readonly<Record<string, Returned>> = {
  'an ordinary answer': { over: { status: 200 }, warning: null, because: 'the status is no redirect' },
  'a 304, which is no redirect': { over: { status: 304 }, warning: null, because: 'the status is no redirect' },
  'a 300, which offers a choice': { over: { status: 300 }, warning: null, because: 'the status is no redirect' },
  'a redirect without a Location': {
    over: { location: undefined },
    warning: null,
    because: '302 without a Location is no redirect',
  },
  'a redirect with an empty Location': {
    over: { location: '' },
    warning: null,
    because: '302 without a Location is no redirect',
  },
  'allowRedirects false': {
    over: { descriptor: aDescriptor({ allowRedirects: false }) },
    warning: null,
    because: 'allowRedirects is false',
  },
  'HEAD by default': {
    over: { descriptor: aDescriptor({ method: 'HEAD' }), method: 'HEAD' },
    warning: null,
    because: 'HEAD follows no redirects by default',
  },
  'an adapter that follows none': {
    over: { adapter: policy('none') },
    warning: 'the 302 redirect was not followed: adapter example has redirects: none',
    because: 'adapter example has redirects: none',
  },
  'an adapter that follows none, to a caller who did not ask': {
    over: { adapter: policy('none'), descriptor: aDescriptor({ allowRedirects: false }) },
    warning: null,
    because: 'allowRedirects is false',
  },
  'another origin under same-origin': {
    over: { adapter: policy('same-origin'), location: 'https://api.example.com:8443/b?token=1' },
    warning:
      'the 302 redirect was not followed: adapter example has redirects: same-origin, and it leads to https://api.example.com:8443',
    because: 'adapter example has redirects: same-origin, and it leads to https://api.example.com:8443',
  },
}

for (const [name, { over, warning, because }] of Object.entries(RETURNED)) {
  test(`the answer is returned: ${name}`, () => {
    assert.deepEqual(decideNextHop(facts(over), resolve), { kind: 'return', warning, because })
  })
}

// Requests' rebuild_method, and its rule for which redirects keep the body.
const METHODS: readonly (readonly [status: number, method: string, next: string, keepsBody: boolean])[] = [
  [301, 'GET', 'GET', false],
  [301, 'POST', 'GET', false],
  [301, 'PUT', 'PUT', false],
  [302, 'POST', 'GET', false],
  [302, 'PUT', 'GET', false],
  [302, 'HEAD', 'HEAD', false],
  [303, 'DELETE', 'GET', false],
  [303, 'HEAD', 'HEAD', false],
  [307, 'POST', 'POST', true],
  [308, 'PATCH', 'PATCH', true],
]
for (const [status, method, next, keepsBody] of METHODS) {
  test(`a ${status} for ${method} is followed with ${next}, the body ${keepsBody ? 'kept' : 'dropped'}`, () => {
    const verdict = decideNextHop(facts({ status, method, descriptor: aDescriptor({ method, allowRedirects: true }) }), resolve)
    const because = method === next ? `${status} keeps ${method}` : `${status} turns ${method} into ${next}`
    const url = aUrl('https://api.example.com/b')
    assert.deepEqual(verdict, { kind: 'follow', url, method: next, keepsBody, originChanged: false, because })
  })
}

for (const [location, changed] of [
  ['https://API.example.com:443/c', false],
  ['http://api.example.com/', true],
  ['https://api.example.com:444/', true],
  ['https://example.com/', true],
] as const) {
  test(`${location} is ${changed ? 'another' : 'the same'} origin`, () => {
    const verdict = decideNextHop(facts({ location }), resolve)
    assert.equal(verdict.kind === 'follow' && verdict.originChanged, changed)
  })
}

test('same-origin follows within the origin', () => {
  assert.equal(decideNextHop(facts({ adapter: policy('same-origin') }), resolve).kind, 'follow')
})

for (const [maxRedirects, followed, kind] of [
  [30, 29, 'follow'],
  [30, 30, 'fail'],
  [0, 0, 'fail'],
  [1_000_000, 99, 'follow'],
  [1_000_000, 100, 'fail'],
] as const) {
  test(`after ${followed} of at most ${maxRedirects} redirects the next one leads to: ${kind}`, () => {
    assert.equal(decideNextHop(facts({ followed, descriptor: aDescriptor({ maxRedirects }) }), resolve).kind, kind)
  })
}

test('one too many is TooManyRedirects, naming host and limit, and its Location is not looked at', () => {
  const verdict = decideNextHop(facts({ followed: 2, descriptor: aDescriptor({ maxRedirects: 2 }) }), () =>
    assert.fail('resolved'),
  )
  assert.ok(verdict.kind === 'fail')
  assert.equal(verdict.type, 'TooManyRedirects')
  assert.match(verdict.because, /^api\.example\.com redirects once more, beyond maxRedirects \(2\)/)
})

const HEADERS: Pairs = [
  ['Authorization', 'Bearer x'],
  ['cookie', 'a=1'],
  ['X-Team', 'red'],
  ['Content-Type', 'text/plain'],
  ['Content-Language', 'en'],
  ['Transfer-Encoding', 'chunked'],
  ['Accept', 'text/html'],
]

function carried(from: string, to: string, over: { keepsBody?: boolean; drop?: string[]; headers?: Pairs } = {}): Outbound {
  const outbound = anOutbound({
    method: 'POST',
    url: aUrl(from),
    headers: over.headers ?? HEADERS,
    body: Buffer.from('x'),
    contentType: 'text/plain',
    idempotencyKey: 'k',
  })
  const [a, b] = [aUrl(from), aUrl(to)]
  const verdict: FollowVerdict = {
    ...{ kind: 'follow', url: b, method: 'GET', because: '' },
    keepsBody: over.keepsBody ?? true,
    originChanged: a.origin !== b.origin,
  }
  return nextOutbound(outbound, { verdict, drop: over.drop ?? [], first: outbound, secured: a.scheme === 'https' })
}

const names = (outbound: Outbound): string[] => outbound.headers.map(([name]) => name)
const ALL = HEADERS.map(([name]) => name)
const without = (...gone: string[]): string[] => ALL.filter((name) => !gone.includes(name))

const DROPPED: Readonly<Record<string, readonly [from: string, to: string, left: readonly string[]]>> = {
  'nothing within one origin': ['https://h.example/', 'https://h.example/b', ALL],
  'Authorization and Cookie to another host': ['https://h.example/', 'https://i.example/', without('Authorization', 'cookie')],
  'the same to a subdomain': ['https://h.example/', 'https://a.h.example/', without('Authorization', 'cookie')],
  'the same to another port': ['https://h.example/', 'https://h.example:444/', without('Authorization', 'cookie')],
  'the same from https to http': ['https://h.example/', 'http://h.example/', without('Authorization', 'cookie')],
  'only Cookie from http to https on default ports': ['http://h.example/', 'https://h.example/', without('cookie')],
  'both from http to https on another port': ['http://h.example:8080/', 'https://h.example/', without('Authorization', 'cookie')],
}
for (const [name, [from, to, left]] of Object.entries(DROPPED)) {
  test(`a redirect drops ${name}`, () => assert.deepEqual(names(carried(from, to)), left))
}

test('a change of origin drops what the adapter lists, whatever its case, and a Host of the caller’s', () => {
  const headers: Pairs = [...HEADERS, ['Host', 'virtual.example']]
  const left = names(carried('https://h.example/', 'https://i.example/', { drop: ['x-TEAM'], headers }))
  assert.deepEqual(left, without('Authorization', 'cookie', 'X-Team'))
  assert.ok(names(carried('https://h.example/', 'https://h.example/b', { drop: ['x-team'], headers })).includes('X-Team'))
})

test('without its body a request loses what described the body', () => {
  const next = carried('https://h.example/', 'https://h.example/b', { keepsBody: false })
  assert.deepEqual(names(next), without('Content-Type', 'Content-Language', 'Transfer-Encoding'))
  assert.deepEqual([next.body, next.contentType, next.method, next.hop, next.idempotencyKey], [null, null, 'GET', 1, 'k'])
})

test('a null that removes a default stays, since it carries nothing', () => {
  const headers: Pairs = [['Authorization', null]]
  assert.deepEqual(carried('https://h.example/', 'https://i.example/', { headers }).headers, headers)
})

const COOKIES: Readonly<Record<string, readonly [first: string, to: string, secured: boolean, sent: boolean]>> = {
  'go on within the first host': ['https://h.example/', 'https://h.example/b', true, true],
  'go on to another port of it': ['http://h.example/', 'http://h.example:81/', false, true],
  'go on from http to https': ['http://h.example/', 'https://h.example/', false, true],
  'never go to another host': ['https://h.example/', 'https://a.h.example/', true, false],
  'never go from https to http': ['https://h.example/', 'http://h.example/', true, false],
  'never go to http once the way was https, though it began with http': ['http://h.example/', 'http://h.example/', true, false],
}
for (const [name, [first, to, secured, sent]] of Object.entries(COOKIES)) {
  test(`the descriptor’s cookies ${name}`, () => {
    const start = anOutbound({ url: aUrl(first), cookies: [['a', '1']] })
    const elsewhere = anOutbound({ url: aUrl('https://elsewhere.example/'), cookies: [] })
    const verdict: FollowVerdict = {
      ...{ kind: 'follow', url: aUrl(to), method: 'GET', because: '' },
      ...{ keepsBody: false, originChanged: true },
    }
    const next = nextOutbound(elsewhere, { verdict, drop: [], first: start, secured })
    assert.deepEqual(next.cookies, sent ? start.cookies : [])
  })
}
