import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { redirect } from '../../../src/layers/redirect.ts'
import type { CallContext } from '../../../src/model/call-context.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import type { CookieJar, Routes } from '../../../src/model/ports.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { planHop } from '../../../src/policy/plan-hop.ts'
import { composeHop } from '../../../src/prepare/compose-hop.ts'
import { resolveLocation } from '../../../src/prepare/resolve-location.ts'
import {
  aContext,
  aDescriptor,
  anAdapter,
  anOutbound,
  aPlan,
  aRequest,
  aResponse,
  aUrl,
  CEILINGS,
} from '../../support/builders.ts'

type Reply = UpstreamResponse | GatewayError | ((request: HopRequest, context: CallContext) => UpstreamResponse)

/** Answers in turn; every request that came is in `seen`. */
function upstream(...replies: Reply[]) {
  const seen: HopRequest[] = []
  const layer = redirect({ planHop, composeHop, resolveLocation })(async (request, context) => {
    const reply = replies[seen.push(request) - 1]
    if (reply === undefined) throw new Error('asked once too often')
    if (reply instanceof GatewayError) throw reply
    return typeof reply === 'function' ? reply(request, context) : reply
  })
  return { seen, layer }
}

const to = (location: string, over: Partial<UpstreamResponse> = {}) =>
  aResponse({ status: 302, reason: 'Found', rawHeaders: ['Location', location], elapsed: 4, ...over })

const A = anAdapter({ name: 'a', mount: 'https://a.example/' })
const B = anAdapter({ name: 'b', mount: 'https://b.example/', headers: [['X-B', '1']] })

const routes: Routes = {
  ceilings: CEILINGS,
  caBundles: new Set(),
  find: ({ hostname }) =>
    hostname === 'a.example' ? { adapter: A, because: 'A' } : hostname === 'b.example' ? { adapter: B, because: 'B' } : null,
}

const START = 'https://a.example/start'

function start(over: Partial<HopRequest> = {}): HopRequest {
  return aRequest({ url: aUrl(START), plan: aPlan({ adapter: A }), ...over })
}

const call = (over: Partial<CallContext> = {}) => aContext({ routes, ...over })

async function failure(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => assert.fail('did not fail'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof GatewayError)
  return error
}

test('an answer that is no redirect comes through untouched, and costs no plan', async () => {
  const answer = aResponse({ status: 201 })
  const { seen, layer } = upstream(answer)
  const context = call()
  const request = start()
  assert.equal(await layer(request, context), answer)
  assert.equal(seen[0], request)
  assert.deepEqual([context.trail.url, context.trail.history], [START, []])
})

test('each hop goes to its own URL under its own adapter, and history tells what was followed', async () => {
  const first = to('/next')
  const second = to('https://b.example/last#part', { status: 301, reason: 'Moved', elapsed: 5 })
  const { seen, layer } = upstream(first, second, aResponse())
  const context = call()
  await layer(start(), context)
  assert.deepEqual(
    seen.map(({ hop, url, plan, headers }) => [hop, url.href, plan.adapter.name, headers.some(([name]) => name === 'X-B')]),
    [
      [0, START, 'a', false],
      [1, 'https://a.example/next', 'a', false],
      [2, 'https://b.example/last#part', 'b', true],
    ],
  )
  assert.equal(context.trail.url, 'https://b.example/last#part')
  assert.deepEqual(context.trail.history, [
    { method: 'GET', status: 302, reason: 'Found', url: START, rawHeaders: first.rawHeaders, elapsed: 4 },
    { method: 'GET', status: 301, reason: 'Moved', url: 'https://a.example/next', rawHeaders: second.rawHeaders, elapsed: 5 },
  ])
})

test('a body goes on with a 307 and stays behind with a 303', async () => {
  const body = Buffer.from('x')
  const outbound = anOutbound({ method: 'POST', url: aUrl(START), body, contentType: 'text/plain' })
  const { seen, layer } = upstream(to('/b', { status: 307 }), to('/c', { status: 303 }), aResponse())
  await layer(start({ method: 'POST', body, outbound }), call({ descriptor: aDescriptor({ method: 'POST' }) }))
  assert.deepEqual(
    seen.map(({ method, body: sent, headers }) => [method, sent, headers.find(([name]) => name === 'Content-Type')?.[1]]),
    [
      ['POST', body, undefined],
      ['POST', body, 'text/plain'],
      ['GET', null, undefined],
    ],
  )
})

test('cookies of every answer go into the jar and the trail; one that was removed on the way leaves the trail', async () => {
  const stored: [string, readonly string[]][] = []
  const jar: CookieJar = {
    changed: false,
    header: (url) => (url.hostname === 'a.example' ? 'a=1' : null),
    store: (url, setCookies) => {
      stored.push([url.href, setCookies])
      return setCookies.map((line) => [line.charAt(0), line.includes('Max-Age=0') ? null : line.slice(2)])
    },
  }
  const { seen, layer } = upstream(
    to('/b', { rawHeaders: ['Set-Cookie', 'a=1', 'Location', '/b', 'set-cookie', 'b=2'] }),
    aResponse({ rawHeaders: ['Set-Cookie', 'a=; Max-Age=0'] }),
  )
  const context = call({ jar })
  await layer(start(), context)
  assert.deepEqual(stored, [
    [START, ['a=1', 'b=2']],
    ['https://a.example/b', ['a=; Max-Age=0']],
  ])
  assert.deepEqual([...context.trail.cookies], [['b', '2']])
  assert.deepEqual(
    seen[1]?.headers.find(([name]) => name === 'Cookie'),
    ['Cookie', 'a=1'],
  )
})

test('a login in the first URL goes on within the origin and never beyond, not even when the way leads back', async () => {
  const credential = { kind: 'given', auth: { type: 'basic', username: 'ann', password: 'pw' } } as const
  const { seen, layer } = upstream(to('/b'), to('https://b.example/'), to(START), aResponse())
  await layer(start({ plan: aPlan({ adapter: A, credential }) }), call())
  assert.deepEqual(
    seen.map(({ plan }) => plan.credential.kind),
    ['given', 'given', 'none', 'none'],
  )
})

test('a redirect that is not followed is returned, with a warning for a caller who asked', async () => {
  const answer = to('/b')
  const adapter = anAdapter({ redirects: { follow: 'none', drop: [] } })
  const { layer } = upstream(answer)
  const context = call()
  assert.equal(await layer(start({ plan: aPlan({ adapter }) }), context), answer)
  assert.deepEqual(context.trail.warnings, ['the 302 redirect was not followed: adapter example has redirects: none'])
  assert.deepEqual(context.trail.history, [])
})

test('warnings of a hop’s plan reach the trail', async () => {
  const { layer } = upstream(to('/b'), aResponse())
  const context = call({ descriptor: aDescriptor({ timeout: { read: 500_000 } }) })
  await layer(start(), context)
  assert.deepEqual(context.trail.warnings, ['timeout.read clamped to 120000'])
})

test('one too many gives TooManyRedirects with the last redirect’s head and URL, and history of those before it', async () => {
  const last = to('/c', { status: 307, reason: 'Temporary' })
  const { layer } = upstream(to('/b'), last)
  const context = call({ descriptor: aDescriptor({ maxRedirects: 1 }) })
  const error = await failure(layer(start(), context))
  assert.deepEqual([error.type, error.status, error.sent], ['TooManyRedirects', 502, 'yes'])
  assert.deepEqual(error.response, { status: 307, reason: 'Temporary', rawHeaders: last.rawHeaders })
  assert.equal(context.trail.url, 'https://a.example/b')
  assert.deepEqual(
    context.trail.history.map(({ url }) => url),
    [START],
  )
})

const REFUSED: Readonly<Record<string, readonly [location: string, type: string, status: number, words: RegExp]>> = {
  'no adapter is mounted there': ['https://c.example/x?token=1', 'EgressDenied', 403, /https:\/\/c\.example, and no adapter/],
  'the Location is no URL': ['http://[', 'InvalidURL', 502, /a\.example redirected to a Location/],
  'the Location is neither http nor https': ['ftp://a.example/', 'InvalidSchema', 502, /a\.example redirected/],
}
for (const [name, [location, type, status, words]] of Object.entries(REFUSED)) {
  test(`a hop that cannot be made keeps the redirect’s head and URL: ${name}`, async () => {
    const answer = to(location)
    const { seen, layer } = upstream(answer)
    const context = call()
    const error = await failure(layer(start(), context))
    assert.deepEqual([error.type, error.status, seen.length], [type, status, 1])
    assert.match(error.message, words)
    assert.doesNotMatch(error.message, /token/)
    assert.deepEqual(error.response, { status: 302, reason: 'Found', rawHeaders: answer.rawHeaders })
    assert.deepEqual([context.trail.url, context.trail.history], [START, []])
  })
}

test('a hop that its plan forbids keeps the redirect’s head: a POST may not be led to another origin’s credential', async () => {
  const withSecret: Routes = { ...routes, find: () => ({ adapter: { ...B, credentials: 'token' }, because: 'B' }) }
  const { seen, layer } = upstream(to('https://b.example/', { status: 307 }))
  const context = call({ routes: withSecret, descriptor: aDescriptor({ method: 'POST' }) })
  const error = await failure(layer(start({ method: 'POST' }), context))
  assert.deepEqual([error.type, error.response?.status, seen.length], ['Forbidden', 307, 1])
})

for (const type of ['Forbidden', 'EgressDenied', 'UnknownCredential'] as const) {
  test(`a hop refused below with ${type} was not followed: the redirect is the last answer`, async () => {
    const refusal = new GatewayError(type, 'no', { privateDetail: '10.0.0.1', detail: { rule: 1 } })
    const { layer } = upstream(to('/b'), to('https://b.example/x', { status: 303 }), refusal)
    const context = call()
    const error = await failure(layer(start(), context))
    assert.deepEqual([error.type, error.message, error.status, error.privateDetail], [type, 'no', 403, '10.0.0.1'])
    assert.deepEqual([error.detail, error.response?.status, error.cause], [{ rule: 1 }, 303, refusal])
    assert.equal(context.trail.url, 'https://a.example/b')
    assert.deepEqual(
      context.trail.history.map(({ url }) => url),
      [START],
    )
  })
}

test('a refusal of the first hop is passed on as it is', async () => {
  const refusal = new GatewayError('EgressDenied', 'no')
  const { layer } = upstream(refusal)
  assert.equal(await failure(layer(start(), call())), refusal)
})

test('a hop that failed otherwise was followed: its own URL, and the redirect in history', async () => {
  const broken = new GatewayError('ConnectTimeout', 'slow')
  const { layer } = upstream(to('https://b.example/x'), broken)
  const context = call()
  assert.equal(await failure(layer(start(), context)), broken)
  assert.equal(context.trail.url, 'https://b.example/x')
  assert.equal(context.trail.history.length, 1)
})

test('a digest 401 of a hop comes after the redirect that led to it', async () => {
  const { layer } = upstream(to('/b'), (request, context) => {
    const { method, url } = request
    context.trail.history.push({ method, status: 401, reason: 'Unauthorized', url: url.href, rawHeaders: [], elapsed: 1 })
    return aResponse()
  })
  const context = call()
  await layer(start(), context)
  assert.deepEqual(
    context.trail.history.map(({ status }) => status),
    [302, 401],
  )
})

test('a call that was cancelled while a redirect came in goes no further', async () => {
  const hungUp = new GatewayError('Cancelled', 'the caller hung up')
  const { seen, layer } = upstream((_request, context) => {
    context.cancellation.cancel(hungUp)
    return to('/b')
  })
  assert.equal(await failure(layer(start(), call())), hungUp)
  assert.equal(seen.length, 1)
})
