// Keys in the path, the body, the query or headers of an adapter's choosing: what the upstream gets, and that nobody else sees
// it, whatever the upstream answers. The canary is the secret; every gateway that stops scans all that it gave away for it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { CANARY, CANARY_TOKEN, findCanaries } from '../support/canary.ts'
import { freePort } from '../support/free-port.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { redirectTo, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

/** As some vendors have it, with a colon. */
const TOKEN = `110201543:${CANARY_TOKEN}`

const secretFor = (origin: string, values: Record<string, string>): NewSecret => {
  return { name: 'it', scheme: 'placeholder', values, origins: [origin], callers: ['*'] }
}

function placedScene(t: TestContext, places: object, values: Record<string, string> = { token: TOKEN }, adapter: object = {}) {
  return setScene(t, {
    adapter: { credentials: { secret: 'it', ...places }, allowPlaintextSecrets: true, ...adapter },
    secrets: ({ origin }) => [secretFor(origin, values)],
  })
}

test('a path template puts the key into the path, and everybody but the upstream sees its mask', async (t) => {
  const { up, gateway, at } = await placedScene(t, { path: '/bot{token}/**' })
  const shown = at('/bot***/sendMessage')
  const { envelope } = await gateway.call({ url: at('/sendMessage?a={token}#f'), method: 'POST', json: { text: '{token}' } })
  assert.equal(up.last().target, `/bot${TOKEN}/sendMessage?a=%7Btoken%7D`)
  assert.equal(up.last().body.toString(), '{"text":"{token}"}')
  assert.deepEqual([envelope.status, envelope.url], [200, `${shown}?a=%7Btoken%7D#f`])
  assert.equal(envelope.request.url, `${shown}?a=%7Btoken%7D#f`)
  assert.deepEqual(
    envelope.attempts.map(({ url }: { url: string }) => url),
    [shown],
  )
  const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/sendMessage') }))
  assert.deepEqual([prepared.status, prepared.envelope.request.url, prepared.envelope.plan.credential], [200, shown, 'it'])
  assert.deepEqual(
    gateway
      .audit()
      .filter(({ kind }) => kind === 'result')
      .map(({ url, credential }) => [url, credential]),
    [[`${shown}?a=***`, 'it@1']],
  )
  assert.ok(gateway.logs().includes('/bot***/sendMessage'))
  const without = await gateway.call({ url: at('/sendMessage'), auth: null })
  assert.deepEqual([up.last().target, without.envelope.url], ['/sendMessage', at('/sendMessage')])
})

test('where the places are is for the adapter to say, and braces of a caller are plain data', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { allowPlaintextSecrets: true },
    secrets: ({ origin }) => [secretFor(origin, { token: TOKEN })],
  })
  const asked = { params: { t: '{token}' }, headers: { 'X-T': '{token}' }, json: { '{token}': '{token}' }, method: 'POST' }
  await gateway.call({ url: at('/bot{token}/x'), ...asked })
  assert.equal(up.last().target, '/bot%7Btoken%7D/x?t=%7Btoken%7D')
  assert.deepEqual([valuesOf(up.last(), 'x-t'), up.last().body.toString()], [['{token}'], '{"{token}":"{token}"}'])
  const named = await gateway.call({ url: at('/bot{token}/x'), auth: { secret: 'it' } })
  assert.deepEqual([named.status, named.envelope.error.type, up.received.length], [403, 'UnknownCredential', 1])
  assert.match(named.envelope.error.message, /does not say where it goes/)
})

test('a path is matched and ruled as the caller has it, and its segments stay what they are', async (t) => {
  const { up, gateway, at } = await placedScene(t, { path: '/bot{token}/**' }, { token: TOKEN }, { paths: ['/send*'] })
  for (const [path, target] of [
    ['/sendMessage', '/sendMessage'],
    ['/send%41', '/sendA'],
    ['/a/../send', '/send'],
  ] as const) {
    await gateway.call({ url: at(path) })
    assert.equal(up.last().target, `/bot${TOKEN}${target}`)
  }
  const before = up.received.length
  for (const path of ['/other', '/send%2f..%2fx', '/send/x', '/send%5cx', '/send%252e', `/bot${'x'}/send`]) {
    const { status, envelope } = await gateway.call({ url: at(path) })
    assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'], path)
  }
  assert.equal(up.received.length, before)
})

test('path templates of other forms', async (t) => {
  const up = await upstreamFor(t)
  const mounts: [mount: string, path: string, asked: string, target: string | null][] = [
    ['/v1/', '/v1/{token}/**', '/v1/users/7?x=1', `/v1/${TOKEN}/users/7?x=1`],
    ['/v2', '/v2/**/key/{token}', '/v2/users', `/v2/users/key/${TOKEN}`],
    ['/v2', '/v2/**/key/{token}', '/v2', `/v2/key/${TOKEN}`],
    ['/v3/', '/v3/in/{id}-{token}/x', '/v3/', `/v3/in/me%2Bmore%25-${TOKEN}/x`],
    ['/v3/', '/v3/in/{id}-{token}/x', '/v3/more', null],
    ['/v4/', '/v4/{token}/**', '/v4/', `/v4/${TOKEN}/`],
    ['/v4/', '/v4/{token}/**', '/v4//a//', `/v4/${TOKEN}//a//`],
  ]
  const distinct = new Map(mounts.map(([mount, path]) => [mount, path]))
  const gateway = await gatewayFor(t, {
    adapters: [...distinct].map(([mount, path], index) => ({
      ...loopbackAdapter(`a${index}`, up.origin, { credentials: { secret: 'it', path }, allowPlaintextSecrets: true }),
      mount: up.origin + mount,
    })),
    secrets: [secretFor(up.origin, { token: TOKEN, id: 'me+more%' })],
  })
  for (const [, , asked, target] of mounts) {
    await t.test(asked, async () => {
      const { status, envelope } = await gateway.call({ url: up.origin + asked })
      if (target === null) assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'])
      else assert.deepEqual([status, up.last().target], [200, target.replace('%2B', '+')])
    })
  }
})

test('a value that could end or hide a segment is not sent, in any disguise', async (t) => {
  for (const token of [
    `a/b${CANARY_TOKEN}`,
    `a\\${CANARY_TOKEN}`,
    `${CANARY_TOKEN}%2fx`,
    `${CANARY_TOKEN}%252f`,
    `${CANARY_TOKEN}%2E`,
    '..',
    '.',
    `..;${CANARY_TOKEN}`,
    `a\n${CANARY_TOKEN}`,
  ]) {
    await t.test(JSON.stringify(token.replace(CANARY_TOKEN, 'X')), async (t) => {
      const { up, gateway, at } = await placedScene(t, { path: '/{token}/**' }, { token })
      const { status, envelope } = await gateway.call({ url: at('/x') })
      const sent = up.received.map(({ target }) => target)
      if (token.startsWith('..;')) assert.deepEqual(sent, [`/..%3B${CANARY_TOKEN}/x`])
      else assert.deepEqual([status, envelope.error?.type, sent], [403, 'UnknownCredential', []])
    })
  }
})

test('a JSON pointer puts the key into the body, whose other bytes stay as they were', async (t) => {
  const { up, gateway, at } = await placedScene(
    t,
    { body: { '/api_key': '{key}', '/auth/tok~1en': 'Key {key}' } },
    { key: CANARY },
  )
  const json = '{"big":9007199254740993,"one":1.0,"api_key":"mine","twice":1,"twice":2}'
  const text = `{"url":"${at('/send')}","method":"POST","inspect":true,"json":${json}}`
  const { envelope } = await gateway.post('/v1/requests', text)
  const body = (key: string) =>
    `{"big":9007199254740993,"one":1.0,"api_key":${JSON.stringify(key)},"twice":1,"twice":2,"auth":{"tok/en":${JSON.stringify(`Key ${key}`)}}}`
  assert.equal(up.last().body.toString(), body(CANARY))
  const length = Buffer.byteLength(body(CANARY))
  assert.deepEqual(valuesOf(up.last(), 'content-length'), [String(length)])
  const { request } = envelope
  assert.deepEqual(
    [request.body.text, request.bodyBytes, request.headers['Content-Length']],
    [body('***'), length, String(length)],
  )
  const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/send'), method: 'POST', json: {} }))
  assert.equal(prepared.envelope.request.body.text, '{"api_key":"***","auth":{"tok/en":"Key ***"}}')
  await t.test('what is no JSON object is refused, and not sent without the key', async () => {
    const before = up.received.length
    for (const ask of [
      {},
      { json: [1] },
      { json: null },
      { data: 'a=1' },
      { data: { a: 1 } },
      { data: '{}' },
      { json: { auth: 1 } },
    ]) {
      const { status, envelope } = await gateway.call({ url: at('/send'), method: 'POST', ...ask })
      assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'], JSON.stringify(ask))
      assert.match(envelope.error.message, /send a JSON object/)
    }
    assert.equal(up.received.length, before)
  })
  await t.test('bytes that are said to be JSON will do', async () => {
    const content = Buffer.from(' {"a" : 1e2}\n').toString('base64')
    await gateway.call({ url: at('/send'), method: 'PUT', content, headers: { 'content-type': 'application/vnd.x+json' } })
    assert.equal(
      up.last().body.toString(),
      ` {"a" : 1e2${body(CANARY)
        .replace(/^.*?"api_key/, ',"api_key')
        .replace('"twice":1,"twice":2,', '')}\n`,
    )
  })
  await t.test('a redirect that keeps the body is filled in anew, and one elsewhere gets the body without the key', async (t) => {
    const other = await upstreamFor(t)
    const elsewhere = await gatewayFor(t, {
      adapters: [
        loopbackAdapter('up', up.origin, { credentials: { secret: 'it', body: { '/k': '{key}' } }, allowPlaintextSecrets: true }),
        loopbackAdapter('other', other.origin),
      ],
      secrets: [secretFor(up.origin, { key: CANARY })],
    })
    up.answer(({ target }) => redirectTo(target === '/a' ? '/b' : `${other.origin}/c`, 307))
    const { envelope } = await elsewhere.call({ url: at('/a'), method: 'POST', json: { a: 1 } })
    assert.deepEqual([envelope.status, envelope.history.length], [200, 2])
    assert.equal(up.last().body.toString(), JSON.stringify({ a: 1, k: CANARY }))
    assert.equal(other.last().body.toString(), '{"a":1}')
  })
})

test('several values in query and headers', async (t) => {
  const places = { query: { 'api key': '{key}' }, headers: { 'DD-API-KEY': '{key}', 'DD-APPLICATION-KEY': 'app {app}' } }
  const { up, gateway, at } = await placedScene(t, places, { key: CANARY, app: CANARY_TOKEN })
  const { envelope } = await gateway.call({ url: at('/p?a=1&api+key=mine'), headers: { 'dd-api-key': 'mine' } })
  assert.equal(up.last().target, `/p?a=1&api%20key=${encodeURIComponent(CANARY)}`)
  assert.deepEqual(valuesOf(up.last(), 'dd-api-key'), [CANARY])
  assert.deepEqual(valuesOf(up.last(), 'dd-application-key'), [`app ${CANARY_TOKEN}`])
  assert.equal(envelope.request.url, at('/p?a=1&api%20key=***'))
  assert.equal(envelope.request.headers['DD-APPLICATION-KEY'], 'app ***')
})

test('what an upstream repeats of the path in its own URLs comes back as the caller would write it', async (t) => {
  const { up, gateway, at } = await placedScene(t, { path: '/bot{token}/**' })
  const encoded = TOKEN.replaceAll(':', '%3a').replaceAll('.', '%2E')
  const answer = (location: string, status = 302) =>
    up.answer(({ target }) =>
      target.endsWith('/go') ? redirectTo(location, status) : { headers: [['X-Target', 'x']], body: 'y' },
    )
  for (const [name, location, target] of [
    ['an absolute URL', `${up.origin}/bot${TOKEN}/there?x=1#f`, '/there?x=1'],
    ['an absolute path', `/bot${TOKEN}/there`, '/there'],
    ['another encoding', `/bot${encoded}/there`, '/there'],
    ['a relative path', 'there', '/there'],
    ['a host without a scheme', `//127.0.0.1:${up.port}/bot${TOKEN}/there/`, '/there/'],
    ['a host in capitals', `HTTP://127.0.0.1:${up.port}/bot${TOKEN}/there`, '/there'],
    ['the root', `/bot${TOKEN}/`, '/'],
  ] as const) {
    await t.test(name, async () => {
      answer(location)
      const { envelope } = await gateway.call({ url: at('/go') })
      assert.deepEqual([envelope.status, up.last().target], [200, `/bot${TOKEN}${target}`])
      assert.equal(envelope.url.split('#')[0], at(`/bot***${target}`))
      assert.deepEqual(
        envelope.history.map(({ url }: { url: string }) => url),
        [at('/bot***/go')],
      )
      const unfollowed = await gateway.call({ url: at('/go'), allowRedirects: false })
      assert.deepEqual(findCanaries(unfollowed.text), [])
    })
  }
  await t.test('what is followed, is what is shown', async () => {
    answer(`${up.origin}/bot${TOKEN}/there`, 308)
    const { envelope } = await gateway.call({ url: at('/go'), allowRedirects: false })
    assert.equal(envelope.headers.location, at('/there'))
  })
  await t.test('a place that is not under the template is masked', async () => {
    answer(`/login?next=${encodeURIComponent(encodeURIComponent(`/bot${TOKEN}/x`))}`)
    const { envelope } = await gateway.call({ url: at('/go') })
    assert.equal(up.last().target, `/bot${TOKEN}/login?next=%252Fbot***%252Fx`)
    assert.match(envelope.history[0].headers.location, /next=%252Fbot\*\*\*%252Fx/)
  })
  await t.test('links, places of what was made, and paths of cookies too', async () => {
    up.answer({
      status: 201,
      headers: [
        ['Location', `/bot${TOKEN}/things/1`],
        ['Content-Location', `${up.origin}/bot${TOKEN}/things/1`],
        ['Link', `</bot${TOKEN}/things?page=2>; rel="next", <https://h.example/?k=${TOKEN}>; rel=x`],
        ['Refresh', `5; url=/bot${TOKEN}/wait`],
        ['Set-Cookie', `c=1; Path=/bot${TOKEN}/; HttpOnly`],
      ],
    })
    const { envelope } = await gateway.call({ url: at('/things'), method: 'POST', session: 's' })
    const { location, link, refresh } = envelope.headers
    assert.deepEqual([location, envelope.headers['content-location'], refresh], ['/things/1', at('/things/1'), '5; url=/wait'])
    assert.equal(link, '</things?page=2>; rel="next", <https://h.example/?k=***>; rel=x')
    assert.deepEqual(envelope.headers['set-cookie'], ['c=1; Path=/; HttpOnly'])
    await gateway.call({ url: at('/things'), session: 's' })
    assert.deepEqual(valuesOf(up.last(), 'cookie'), ['c=1'])
  })
  await t.test('an answer that fails half-way shows its head no less masked', async () => {
    up.answer({ status: 302, headers: [['Location', `https://h.example/bot${TOKEN}`]], body: 'much more than asked for' })
    const { envelope } = await gateway.call({ url: at('/go'), maxResponseSize: 4 })
    assert.deepEqual([envelope.error.type, envelope.headers.location], ['ResponseTooLarge', 'https://h.example/bot***'])
  })
})

test('a redirect to another origin carries nothing of the key, not even where the upstream wrote it in', async (t) => {
  const other = await upstreamFor(t)
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [
      loopbackAdapter('up', up.origin, { credentials: { secret: 'it', path: '/bot{token}/**' }, allowPlaintextSecrets: true }),
      {
        ...loopbackAdapter('query', `http://localhost:${up.port}`, { credentials: 'q', allowPlaintextSecrets: true }),
        egress: { allow: ['127.0.0.1', '::1'] },
      },
      loopbackAdapter('other', other.origin),
    ],
    secrets: [
      secretFor(up.origin, { token: TOKEN }),
      {
        name: 'q',
        scheme: 'query',
        values: { name: 'key', value: CANARY },
        origins: [`http://localhost:${up.port}`],
        callers: ['*'],
      },
    ],
  })
  for (const [key, url] of [
    [TOKEN, `${up.origin}/x`],
    [CANARY, `http://localhost:${up.port}/x`],
  ] as const) {
    for (const status of [301, 302, 303, 307, 308]) {
      up.answer(redirectTo(`${other.origin}/bot${encodeURIComponent(key)}/x?key=${encodeURIComponent(key)}`, status))
      const { envelope } = await gateway.call({ url })
      assert.deepEqual([envelope.status, other.last().target], [200, '/bot***/x?key=***'])
      assert.deepEqual(findCanaries(JSON.stringify(other.last().headers)), [])
    }
  }
})

test('a call that fails says nothing of the path but its mask', async (t) => {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const gateway = await gatewayFor(t, {
    adapters: [
      loopbackAdapter('up', origin, {
        credentials: { secret: 'it', path: '/bot{token}/**' },
        allowPlaintextSecrets: true,
        retry: { total: 1, backoffFactor: 0 },
      }),
    ],
    secrets: [secretFor(origin, { token: TOKEN })],
  })
  const { envelope } = await gateway.call({ url: `${origin}/x` })
  assert.equal(envelope.error.type, 'ConnectionError')
  assert.deepEqual(
    envelope.attempts.map(({ url }: { url: string }) => url),
    [`${origin}/bot***/x`, `${origin}/bot***/x`],
  )
  assert.equal(envelope.url, `${origin}/bot***/x`)
})

test('an adapter and a secret that do not fit one another refuse the call', async (t) => {
  const up = await upstreamFor(t)
  const cases: [name: string, credentials: unknown, secret: Partial<NewSecret>, message: RegExp][] = [
    ['a value that is not there', { secret: 'it', path: '/{other}/**' }, {}, /it has no value "other"/],
    ['a scheme with places of its own', { secret: 'it', path: '/{token}/**' }, { scheme: 'bearer' }, /is of scheme bearer/],
    ['no places', 'it', {}, /does not say where it goes/],
    [
      'text that no header can hold',
      { secret: 'it', headers: { 'X-K': '{token}' } },
      { values: { token: `${CANARY_TOKEN}€` } },
      /no header text in X-K/,
    ],
  ]
  for (const [name, credentials, secret, message] of cases) {
    await t.test(name, async (t) => {
      const gateway = await gatewayFor(t, {
        adapters: [loopbackAdapter('up', up.origin, { credentials, allowPlaintextSecrets: true })],
        secrets: [{ ...secretFor(up.origin, { token: CANARY_TOKEN }), ...secret }],
      })
      for (const path of ['/v1/requests', '/v1/prepare']) {
        const { status, envelope } = await gateway.post(path, JSON.stringify({ url: `${up.origin}/x` }))
        assert.deepEqual([status, envelope.error.type], [403, 'UnknownCredential'])
        assert.match(envelope.error.message, message)
      }
    })
  }
  assert.equal(up.received.length, 0)
})
