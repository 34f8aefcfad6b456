// Stored and given credentials of each scheme: what the upstream gets, to whom they are never sent, what is never shown. The
// canary is the secret throughout, and every gateway that stops scans all that it gave away for it.
import assert from 'node:assert/strict'
import crypto, { createHash, createHmac, randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { commandsOf } from '../bench/credential.ts'
import { CANARY, CANARY_TOKEN } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { createDigestServer } from '../support/digest-server.ts'
import { freePort } from '../support/free-port.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import type { ReceivedRequest } from '../support/rude-upstream.ts'
import { gatewayFor, setScene, upstreamFor } from '../support/scene.ts'
import { redirectTo, type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, pause, until } from '../support/wire.ts'

const base64 = (text: string, encoding: BufferEncoding = 'latin1'): string => Buffer.from(text, encoding).toString('base64')
const percent = (text: string): string => encodeURIComponent(text).replace(/'/g, '%27')

interface Kind {
  readonly scheme: NewSecret['scheme']
  readonly values: Readonly<Record<string, string>>
  /** Where it arrives, and as what. */
  readonly arrives: (up: ScriptedUpstream) => unknown
  readonly expected: unknown
}

const KINDS: readonly Kind[] = [
  {
    ...{ scheme: 'basic', values: { username: 'Aladdin', password: CANARY } },
    arrives: (up) => valuesOf(up.last(), 'authorization'),
    expected: [`Basic ${base64(`Aladdin:${CANARY}`)}`],
  },
  {
    ...{ scheme: 'bearer', values: { token: CANARY_TOKEN } },
    arrives: (up) => valuesOf(up.last(), 'authorization'),
    expected: [`Bearer ${CANARY_TOKEN}`],
  },
  {
    ...{ scheme: 'header', values: { name: 'X-Api-Key', value: CANARY } },
    arrives: (up) => valuesOf(up.last(), 'x-api-key'),
    expected: [CANARY],
  },
  {
    ...{ scheme: 'query', values: { name: 'api key', value: CANARY } },
    arrives: (up) => up.last().target,
    expected: `/p?a=1&api%20key=${percent(CANARY)}`,
  },
]

/** Signed by the time of the try: checked by what the upstream itself makes of what arrived. */
const SIGNED: readonly Kind[] = [
  {
    scheme: 'aws-sigv4',
    values: {
      ...{ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: CANARY_TOKEN, sessionToken: `${CANARY_TOKEN}.session` },
      ...{ region: 'eu-west-1', service: 's3' },
    },
    arrives: (up) => isSignedForAws(up.last(), CANARY_TOKEN),
    expected: true,
  },
  {
    scheme: 'hmac',
    values: { key: CANARY, text: '{timestamp}.{target}.{body}', headers: 'X-Signature: t={timestamp},v1={signature}' },
    arrives(up) {
      const { target, body } = up.last()
      const [, time, signature] = /^t=([0-9]+),v1=([0-9a-f]+)$/.exec(valuesOf(up.last(), 'x-signature')[0] ?? '') ?? []
      return signature === createHmac('sha256', CANARY).update(`${time}.${target}.${body}`).digest('hex')
    },
    expected: true,
  },
]

/** Signature Version 4 as an S3 server would check it, from the bytes that arrived (the vendor's "Signature calculations"). */
function isSignedForAws(request: ReceivedRequest, secret: string): boolean {
  const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')
  const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest()
  const given = /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+), Signature=(.+)$/.exec(
    valuesOf(request, 'authorization')[0] ?? '',
  )
  if (!given) return false
  const [, scope = '', names = '', signature] = given
  const [path = '', query = ''] = request.target.split('?')
  const headers = names.split(';').map((name) => `${name}:${valuesOf(request, name).join(',')}\n`)
  const hash = valuesOf(request, 'x-amz-content-sha256')[0] ?? ''
  const canonical = [request.method, path, query.split('&').sort().join('&'), headers.join(''), names, hash].join('\n')
  const text = ['AWS4-HMAC-SHA256', valuesOf(request, 'x-amz-date')[0], scope, sha256(canonical)].join('\n')
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`)
  return hash === sha256(request.body) && hmac(key, text).toString('hex') === signature
}

const secretFor = ({ scheme, values }: Pick<Kind, 'scheme' | 'values'>, ...origins: readonly string[]): NewSecret => ({
  ...{ name: 'it', scheme, values, callers: ['*'] },
  origins: [...origins],
})

for (const kind of [...KINDS, ...SIGNED]) {
  test(`a stored secret of scheme ${kind.scheme}`, async (t) => {
    const away = await upstreamFor(t)
    const { up, gateway, at } = await setScene(t, {
      adapter: { credentials: 'it', allowPlaintextSecrets: true, retry: { total: 1, backoffFactor: 1 } },
      others: () => [loopbackAdapter('away', away.origin)],
      secrets: (upstream) => [secretFor(kind, upstream.origin)],
    })
    const carries = (): void => assert.deepEqual(kind.arrives(up), kind.expected)
    const call = async (keys: object = {}) => (await gateway.call({ url: at('/p'), params: { a: 1 }, ...keys })).envelope

    await t.test('arrives, and is shown masked', async () => {
      const envelope = await call({ inspect: true })
      carries()
      assert.equal(envelope.status, 200)
      assert.match(JSON.stringify(envelope.request), /\*\*\*/)
      assert.equal(envelope.url, at('/p?a=1'))
    })
    await t.test('by name in the descriptor as well', async () => {
      await call({ auth: { secret: 'it' } })
      carries()
    })
    await t.test('is not sent with auth: null', async () => {
      await call({ auth: null })
      assert.notDeepEqual(kind.arrives(up), kind.expected)
    })
    await t.test('is told in the plan by its name alone', async () => {
      const { envelope } = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/p?a=1') }))
      assert.equal(envelope.plan.credential, 'it')
      assert.match(JSON.stringify(envelope.request), /\*\*\*/)
    })
    await t.test('goes with each try', async () => {
      up.answer({ status: 503, body: 'x' })
      const envelope = await call()
      assert.deepEqual([envelope.status, envelope.attempts.length], [503, 2])
      carries()
      up.answer({})
    })
    await t.test('goes with a redirect that stays, not with one that leaves', async () => {
      up.answer(({ target }) => (target.startsWith('/from') ? redirectTo('/p?a=1') : {}))
      assert.equal((await gateway.call({ url: at('/from') })).envelope.status, 200)
      carries()
      up.answer(redirectTo(`${away.origin}/p?a=1`))
      await call()
      assert.notDeepEqual(kind.arrives(away), kind.expected)
      up.answer({})
    })
    await t.test('is echoed by no error', async () => {
      up.answer({ headers: [['Content-Type', 'application/json'], ['Content-Encoding', 'gzip']], body: 'no gzip' }) // biome-ignore format: pairs
      assert.equal((await call()).error.type, 'ContentDecodingError')
      up.answer({ body: 'x'.repeat(100) })
      assert.equal((await call({ maxResponseSize: 10 })).error.type, 'ResponseTooLarge')
      up.answer({ status: 500, body: 'x' })
      assert.equal((await call({ decode: 'json' })).error.type, 'InvalidJSONError')
      up.answer({})
    })
    await t.test('goes with a body', async () => {
      await gateway.call({ url: at('/p'), params: { a: 1 }, method: 'POST', json: { b: [1, 'é'] } })
      carries()
    })
    await t.test('is refused with TRACE, and not sent', async () => {
      const before = up.received.length
      const { status, envelope } = await gateway.call({ url: at('/p'), method: 'TRACE' })
      assert.deepEqual([status, envelope.error.type, up.received.length], [403, 'Forbidden', before])
    })
    await t.test('an audit record names it with its version', () => {
      const used = gateway.audit().filter(({ kind, credential }) => kind === 'result' && credential === 'it@1')
      assert.ok(used.length > 5)
    })
  })
}

test('credentials given with the call', async (t) => {
  const { up, gateway, at } = await setScene(t)
  for (const { scheme, values, arrives, expected } of KINDS) {
    await t.test(scheme, async () => {
      const { envelope } = await gateway.call({ url: at('/p?a=1'), auth: { type: scheme, ...values } })
      assert.deepEqual(arrives(up), expected)
      assert.match(JSON.stringify(envelope.request), /\*\*\*/)
    })
  }
  await t.test('basic beyond latin-1 is UTF-8', async () => {
    await gateway.call({ url: at('/p'), auth: { type: 'basic', username: 'ü', password: 'ü' } })
    assert.deepEqual(valuesOf(up.last(), 'authorization'), [`Basic ${base64('ü:ü')}`])
    await gateway.call({ url: at('/p'), auth: { type: 'basic', username: 'ü', password: '€' } })
    assert.deepEqual(valuesOf(up.last(), 'authorization'), [`Basic ${base64('ü:€', 'utf8')}`])
  })
  await t.test('a login in the URL is Basic, and leaves the URL', async () => {
    const { envelope } = await gateway.call({ url: at('/p').replace('//', `//us%40er:${percent(CANARY)}@`) })
    assert.deepEqual(valuesOf(up.last(), 'authorization'), [`Basic ${base64(`us@er:${CANARY}`)}`])
    assert.equal(envelope.url, at('/p'))
  })
})

test('which credential wins', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { credentials: 'it', allowPlaintextSecrets: true },
    secrets: ({ origin }) => [secretFor({ scheme: 'bearer', values: { token: CANARY_TOKEN } }, origin)],
    others: ({ port }) => [{ name: 'bare', mount: `http://localhost:${port}/`, egress: { allow: ['127.0.0.1', '::1'] } }],
  })
  const login = (path: string): string => at(path).replace('//', '//u:p@')
  const auth = { type: 'bearer', token: 'given' }
  const got = async (keys: object) => {
    const { envelope } = await gateway.call(keys)
    assert.equal(envelope.status, 200)
    return [...valuesOf(up.last(), 'authorization'), envelope.warnings.length]
  }
  const own = { headers: { authorization: 'Custom x' } }
  assert.deepEqual(await got({ url: login('/p'), auth, ...own }), ['Bearer given', 1])
  assert.deepEqual(await got({ url: login('/p'), ...own }), [`Basic ${base64('u:p')}`, 1])
  assert.deepEqual(await got({ url: at('/p'), ...own }), [`Bearer ${CANARY_TOKEN}`, 1])
  assert.deepEqual(await got({ url: at('/p'), headers: { Authorization: null } }), [`Bearer ${CANARY_TOKEN}`, 0])
  assert.deepEqual(await got({ url: at('/p'), auth: null, ...own }), ['Custom x', 0])
  assert.deepEqual(await got({ url: `http://localhost:${up.port}/p`, ...own }), ['Custom x', 0])
})

const DIGESTS: readonly (readonly [algorithm: string | null, qop: string | null])[] = [
  [null, null],
  ['MD5', 'auth'],
  ['MD5-sess', 'auth'],
  ['SHA-256', 'auth'],
  ['SHA-256-sess', 'auth-int'],
  ['SHA-512', 'auth, auth-int'],
  ['SHA-512-256', 'auth-int'],
  ['SHA', 'auth'],
  ['MD5', 'auth-int'],
]

test('digest', async (t) => {
  for (const [algorithm, qop] of DIGESTS) {
    await t.test(`${algorithm ?? 'no algorithm'}, ${qop ?? 'no qop'}`, async (t) => {
      const { up, gateway, at } = await setScene(t, {
        adapter: { credentials: 'it', allowPlaintextSecrets: true },
        secrets: ({ origin }) => [secretFor({ scheme: 'digest', values: { username: 'Mufasa', password: CANARY } }, origin)],
      })
      const server = createDigestServer({ username: 'Mufasa', password: CANARY, algorithm, qop })
      up.answer(server.answer)
      const post = { url: at('/dir/index.html?q=1'), method: 'POST', json: { a: 1 } }
      const { envelope } = await gateway.call(post)
      assert.deepEqual([envelope.status, envelope.text ?? envelope.base64], [200, base64('yes')])
      assert.deepEqual(
        envelope.history.map(({ status, url }: Record<string, unknown>) => [status, url]),
        [[401, post.url]],
      )
      assert.deepEqual(
        envelope.attempts.map(({ status, because }: Record<string, unknown>) => [status, because]),
        [[401, null], [200, 'renewed credential']], // biome-ignore format: pairs
      )
      assert.equal(envelope.request.headers.Authorization, 'Digest ***')
      assert.equal(up.last().body.toString(), '{"a":1}')
      const again = await gateway.call(post)
      assert.deepEqual([again.envelope.status, again.envelope.history], [200, []], 'the nonce serves on')
      if (qop !== null) assert.equal(server.accepted.at(-1)?.nc, '00000002')
    })
  }
  await t.test('nextnonce is used for the next call', async (t) => {
    const { up, gateway, at } = await setScene(t, {
      adapter: { credentials: 'it', allowPlaintextSecrets: true },
      secrets: ({ origin }) => [secretFor({ scheme: 'digest', values: { username: 'm', password: CANARY } }, origin)],
    })
    const server = createDigestServer({
      username: 'm',
      password: CANARY,
      algorithm: 'SHA-256',
      qop: 'auth',
      nextNonce: 'nonce-2',
    })
    up.answer(server.answer)
    for (const history of [1, 0]) assert.equal((await gateway.call({ url: at('/') })).envelope.history.length, history)
    assert.deepEqual(server.accepted.map(({ nonce, nc }) => [nonce, nc]), [['nonce-1', '00000001'], ['nonce-2', '00000001']]) // biome-ignore format: pairs
  })
  await t.test('a wrong password is one 401 more, and the answer', async (t) => {
    const { up, gateway, at } = await setScene(t)
    up.answer(createDigestServer({ username: 'm', password: 'right', algorithm: 'MD5', qop: 'auth' }).answer)
    const { envelope } = await gateway.call({ url: at('/'), auth: { type: 'digest', username: 'm', password: CANARY } })
    assert.deepEqual([envelope.status, envelope.history.length, up.received.length], [401, 1, 2])
  })
})

test('a secret goes to its origins and its callers alone', async (t) => {
  const keys = { ann: 'ann-key-0123456789', bob: 'bob-key-0123456789' }
  const may = [{ adapter: 'up' }, { adapter: 'named' }]
  const { up, gateway, at } = await setScene(t, {
    adapter: { allowPlaintextSecrets: true },
    others: ({ port }) => [
      ...[
        {
          name: 'named',
          mount: `http://localhost:${port}/`,
          egress: { allow: ['127.0.0.1', '::1'] },
          allowPlaintextSecrets: true,
        },
      ],
    ],
    config: { callers: [{ name: 'ann', keys: [keys.ann], may }, { name: 'bob', keys: [keys.bob], may }] }, // biome-ignore format: pairs
    secrets: ({ origin }) => [
      { name: 'anns', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [origin], callers: ['ann'] },
      { name: 'login', scheme: 'proxy-basic', values: { username: 'u', password: CANARY }, origins: [origin], callers: ['*'] },
    ],
  })
  const call = (url: string, secret: string, key: string) =>
    gateway.call({ url, auth: { secret } }, { headers: { 'x-sallyport-key': key } })
  assert.equal((await call(at('/p'), 'anns', keys.ann)).status, 200)
  for (const [name, url, secret, key] of [
    ['another caller', at('/p'), 'anns', keys.bob],
    ['another origin', `http://localhost:${up.port}/p`, 'anns', keys.ann],
    ['an unknown name', at('/p'), 'nobodys', keys.ann],
    ['a scheme for proxies', at('/p'), 'login', keys.ann],
  ] as const) {
    await t.test(name, async () => {
      const { status, envelope } = await call(url, secret, key)
      assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'UnknownCredential', 'no'])
    })
  }
  assert.equal(up.received.length, 1)
  const [another, unknown] = [await call(at('/p'), 'anns', keys.bob), await call(at('/p'), 'nobody', keys.bob)]
  const said = ({ envelope }: typeof another): string => envelope.error.message.replace(/"(anns|nobody)"/, '""')
  assert.equal(said(another), said(unknown), 'who may not use a secret does not learn that there is one')
})

test('a stored secret is sent neither in plain text nor to whom nobody verified', async (t) => {
  const tls = await upstreamFor(t, { tls: certificates().selfSigned })
  const { up, gateway, at } = await setScene(t, {
    others: () => [
      { name: 'loose', mount: `${tls.origin}/`, egress: { allow: ['127.0.0.1'] }, tls: { allowInsecure: true }, retry: false },
    ],
    secrets: ({ origin }) => [secretFor({ scheme: 'bearer', values: { token: CANARY_TOKEN } }, origin, tls.origin)],
  })
  const plain = await gateway.call({ url: at('/p'), auth: { secret: 'it' } })
  assert.deepEqual([plain.status, plain.envelope.error.type, up.accepted()], [403, 'Forbidden', 0])
  const loose = await gateway.call({ url: `${tls.origin}/p`, verify: false, auth: { secret: 'it' } })
  assert.deepEqual([loose.status, loose.envelope.error.type, tls.accepted()], [403, 'Forbidden', 0])
  const without = await gateway.call({ url: `${tls.origin}/p`, verify: false })
  assert.deepEqual([without.status, without.envelope.status], [200, 200])
  assert.match(without.envelope.warnings.join(), /^InsecureRequestWarning: /)
})

test("after a change of origin the new hop's own credential goes with GET and HEAD alone, and as the caller's policy has it", async (t) => {
  const keys = { ann: 'ann-key-0123456789', bob: 'bob-key-0123456789' }
  const other = await upstreamFor(t)
  const { up, gateway, at } = await setScene(t, {
    others: () => [loopbackAdapter('other', other.origin, { credentials: 'it', allowPlaintextSecrets: true })],
    config: {
      callers: [
        { name: 'ann', keys: [keys.ann], may: [{ adapter: 'up' }, { adapter: 'other' }] },
        { name: 'bob', keys: [keys.bob], may: [{ adapter: 'up' }, { adapter: 'other' }] },
      ],
    },
    secrets: () => [{ ...secretFor({ scheme: 'bearer', values: { token: CANARY_TOKEN } }, other.origin), callers: ['ann'] }],
  })
  const go = async (status: number, method: string, key: string) => {
    up.answer(redirectTo(`${other.origin}/p`, status))
    return gateway.call(
      { url: at('/p'), method, ...(method === 'POST' ? { data: 'x' } : {}) },
      { headers: { 'x-sallyport-key': key } },
    )
  }
  assert.equal((await go(302, 'GET', keys.ann)).envelope.status, 200)
  assert.deepEqual(valuesOf(other.last(), 'authorization'), [`Bearer ${CANARY_TOKEN}`])
  const post = await go(307, 'POST', keys.ann)
  assert.deepEqual([post.status, post.envelope.error.type, post.envelope.status], [403, 'Forbidden', 307])
  const others = await go(302, 'GET', keys.bob)
  assert.deepEqual([others.status, others.envelope.error.type, others.envelope.status], [403, 'UnknownCredential', 302])
  assert.equal(other.received.length, 1)
})

test('an upstream that echoes the secret shows it in the envelope and nowhere else', async (t) => {
  const { up, gateway, at } = await setScene(t, {
    adapter: { credentials: 'it', allowPlaintextSecrets: true },
    secrets: ({ origin }) => [secretFor({ scheme: 'query', values: { name: 'key', value: CANARY } }, origin)],
  })
  up.answer(({ target }) => (target.startsWith('/p?') ? redirectTo(target.replace('/p?', '/p/?')) : { body: 'x' }))
  const { envelope } = await gateway.call({ url: at('/p'), tags: {} }, { echoes: true })
  assert.equal(up.last().target, `/p/?key=${percent(CANARY)}`)
  assert.equal(envelope.status, 200)
})

const isReady = (gateway: TestGateway): Promise<void> =>
  until('the store is reached', async () => (await gateway.get('/readyz')).text === '{"ready":true,"degraded":[]}')

const STORE_KEY = `k1:${randomBytes(32).toString('base64')}`

test('secrets in Redis', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const up = await upstreamFor(t)
  const options = (store: object = {}) => ({
    adapters: [loopbackAdapter('up', up.origin, { credentials: 'it', allowPlaintextSecrets: true })],
    config: { store: { redis: redis.url, key: STORE_KEY, ...store } },
  })
  const secret = (token: string): NewSecret => secretFor({ scheme: 'bearer', values: { token } }, up.origin)
  const one = await gatewayFor(t, options())
  const two = await gatewayFor(t, options({ staleFor: '600ms' }))
  await isReady(one)
  await isReady(two)

  await t.test('a changed one is used by every gateway within a second', async () => {
    for (const token of [`${CANARY_TOKEN}.one`, `${CANARY_TOKEN}.two`]) {
      await one.provision(secret(token))
      const isUsed = async (gateway: typeof one): Promise<boolean> => {
        await gateway.call({ url: up.origin })
        return up.received.length > 0 && valuesOf(up.last(), 'authorization')[0] === `Bearer ${token}`
      }
      assert.ok(await isUsed(one), 'by the gateway that stored it at once')
      await until('the other gateway uses it', () => isUsed(two), 1000)
    }
  })
  await t.test('it stands under sallyport:secret:NAME', async () => {
    assert.equal(await redis.command('EXISTS', 'sallyport:secret:it'), 1)
  })
  await t.test('a call costs no command to Redis and no decryption', async () => {
    const decrypt = t.mock.method(crypto, 'createDecipheriv')
    syncBuiltinESMExports()
    const perSecond = async (work: () => Promise<void>): Promise<number> => {
      const [before, from] = [await commandsOf(redis), performance.now()]
      await work()
      return ((await commandsOf(redis)) - before) / ((performance.now() - from) / 1000)
    }
    const idle = await perSecond(() => pause(600))
    const calls = 400
    const busy = await perSecond(async () => {
      const until = performance.now() + 600
      for (let done = 0; done < calls || performance.now() < until; done += 20)
        await Promise.all(Array.from({ length: 20 }, () => one.call({ url: up.origin })))
    })
    decrypt.mock.restore()
    syncBuiltinESMExports()
    // One a call would be hundreds; the rounds that look for changes are the same few with and without calls.
    const decryptions = decrypt.mock.callCount()
    assert.ok(decryptions < 20, `${decryptions} decryptions`)
    assert.ok(busy < idle + 100, `${idle} commands a second without calls, ${busy} with ${calls}`)
  })
  await t.test('while Redis is away the last known serve, for store.staleFor', async () => {
    await redis.kill()
    assert.equal((await one.call({ url: up.origin })).status, 200)
    await until('readyz says so', async () => (await one.get('/readyz')).text === '{"ready":true,"degraded":["redis"]}', 2000)
    assert.equal((await one.get('/readyz')).status, 200)
    const refused = async (): Promise<boolean> =>
      (await two.call({ url: up.origin })).envelope.error?.type === 'CredentialUnavailable'
    await until('the last known are too old', refused, 3000)
    assert.equal((await two.call({ url: up.origin, auth: null })).status, 200)
    assert.equal((await two.get('/readyz')).status, 200)
  })
})

test('a gateway that never reached its store has no credentials, and says so', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', up.origin, { credentials: 'it', allowPlaintextSecrets: true })],
    config: { store: { redis: `redis://127.0.0.1:${await freePort()}`, key: STORE_KEY } },
  })
  const { status, envelope, headers } = await gateway.call({ url: up.origin })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'no'])
  assert.match(headers['retry-after'] ?? '', /^[1-9]/)
  assert.equal(up.accepted(), 0)
  assert.equal((await gateway.call({ url: up.origin, auth: null })).status, 200)
})
