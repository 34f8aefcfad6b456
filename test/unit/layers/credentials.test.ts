import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseChallenges } from '../../../src/credentials/challenge.ts'
import { createKeyPools } from '../../../src/credentials/key-pool.ts'
import { SCHEMES } from '../../../src/credentials/schemes/index.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { credentials } from '../../../src/layers/credentials.ts'
import type { CallContext } from '../../../src/model/call-context.ts'
import type { TokenExchange } from '../../../src/model/credential-scheme.ts'
import { getHeader, type HeaderList } from '../../../src/model/header-list.ts'
import type { CredentialChoice, HopRequest } from '../../../src/model/hop.ts'
import type { CookieJar, Secret, Secrets, SecretVersions } from '../../../src/model/ports.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { restAfter } from '../../../src/policy/key-cooldown.ts'
import { aContext, aJar, anAdapter, aPlan, aRequest, aResponse, aUrl } from '../../support/builders.ts'
import { certificates } from '../../support/certificates.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { tokenPorts } from '../../support/token-ports.ts'

const openPool = createKeyPools({ clock: createFakeClock(), log: { log() {} }, restAfter })

const STORED: CredentialChoice = { kind: 'stored', name: 'github', from: 'adapter' }

function aSecret(over: Partial<Secret> = {}): Secret {
  return { name: 'github', version: 3, scheme: 'bearer', values: { token: 'canary-token' }, origins: [], callers: [], ...over }
}

const alone = { other: () => null, prefer: () => {} }
const holding = (secret: Secret): SecretVersions => ({ ...alone, find: () => secret })
const empty: Secrets = {
  find(name) {
    throw new GatewayError('UnknownCredential', `no ${name}`)
  },
}

/** The layer over an upstream that answers from a list (200 when it is used up), and what was sent to it. */
function aLayer(
  secrets: Secrets | SecretVersions,
  answers: (UpstreamResponse | ((request: HopRequest) => UpstreamResponse))[] = [],
) {
  const sent: HopRequest[] = []
  const dispatch = credentials({ secrets: { ...alone, ...secrets }, schemes: SCHEMES, openPool, tokens: tokenPorts() })(
    async (request) => {
      sent.push(request)
      const answer = answers.shift() ?? aResponse()
      return typeof answer === 'function' ? answer(request) : answer
    },
  )
  return { sent, dispatch }
}

const withCredential = (credential: CredentialChoice, over: Partial<HopRequest> = {}): HopRequest =>
  aRequest({ plan: aPlan({ credential }), ...over })

const given = (auth: Extract<CredentialChoice, { kind: 'given' }>['auth'], over: Partial<HopRequest> = {}): HopRequest =>
  withCredential({ kind: 'given', auth }, over)

const shownHeaders = (context: CallContext): HeaderList => context.trail.outgoing?.headers ?? []

describe('no credential', () => {
  test('the request goes out as it is, and the view masks what the caller put in', async () => {
    const { sent, dispatch } = aLayer(empty)
    const context = aContext()
    const request = aRequest({ headers: [['Authorization', 'Bearer canary']], body: Buffer.from('x') })
    await dispatch(request, context)
    assert.equal(sent[0], request)
    assert.deepEqual(context.trail.outgoing, {
      method: 'GET',
      url: 'https://api.example.com/',
      headers: [['Authorization', 'Bearer ***']],
      body: request.body,
    })
    assert.equal(context.trail.credential, null)
    assert.deepEqual(context.trail.warnings, [])
  })
})

describe('a credential in the request', () => {
  test('stored: looked up for this origin and caller at every try, attached, named with its version', async () => {
    const asked: unknown[] = []
    const secrets: Secrets = {
      find(name, use) {
        asked.push([name, use])
        return aSecret()
      },
    }
    const { sent, dispatch } = aLayer(secrets)
    const context = aContext({ caller: { name: 'billing', admin: false, may: [] } })
    const request = withCredential(STORED, { headers: [['X-A', '1']] })
    await dispatch(request, context)
    await dispatch(request, context)
    assert.deepEqual(asked, Array(2).fill(['github', { origin: 'https://api.example.com', caller: 'billing' }]))
    assert.deepEqual(sent[0]?.headers, [
      ['X-A', '1'],
      ['Authorization', 'Bearer canary-token'],
    ])
    assert.deepEqual(shownHeaders(context), [
      ['X-A', '1'],
      ['Authorization', 'Bearer ***'],
    ])
    assert.equal(context.trail.credential, 'github@3')
    assert.equal(request.headers.length, 1)
  })

  test('a secret that is still being fetched is waited for', async () => {
    const { sent, dispatch } = aLayer({ find: async () => aSecret() })
    await dispatch(withCredential(STORED), aContext())
    assert.equal(getHeader(sent[0]?.headers ?? [], 'authorization'), 'Bearer canary-token')
  })

  test('a new version is used from the next try on', async () => {
    const versions = [aSecret(), aSecret({ version: 4, values: { token: 'fresh' } })]
    const { sent, dispatch } = aLayer({ find: () => versions.shift() ?? aSecret() })
    const context = aContext()
    for (let i = 0; i < 2; i++) await dispatch(withCredential(STORED), context)
    assert.deepEqual(
      sent.map(({ headers }) => headers[0]?.[1]),
      ['Bearer canary-token', 'Bearer fresh'],
    )
    assert.equal(context.trail.credential, 'github@4')
  })

  test('a refusal goes up, and nothing goes out', async () => {
    const { sent, dispatch } = aLayer(empty)
    await assert.rejects(dispatch(withCredential(STORED), aContext()), { type: 'UnknownCredential' })
    assert.equal(sent.length, 0)
  })

  test('given: attached, without a name in the trail', async () => {
    const { sent, dispatch } = aLayer(empty)
    const context = aContext()
    await dispatch(given({ type: 'basic', username: 'u', password: 'p' }), context)
    assert.deepEqual(sent[0]?.headers, [['Authorization', 'Basic dTpw']])
    assert.deepEqual(shownHeaders(context), [['Authorization', 'Basic ***']])
    assert.equal(context.trail.credential, null)
  })

  test('an injected header takes the place of the caller’s, in any case, and any credential that of its Authorization', async () => {
    const { sent, dispatch } = aLayer(empty)
    const context = aContext()
    const headers: HeaderList = [
      ['x-api-key', 'mine'],
      ['Authorization', 'Bearer mine'],
      ['X-Z', '1'],
      ['X-API-KEY', 'mine too'],
    ]
    await dispatch(given({ type: 'header', name: 'X-Api-Key', value: 'canary' }, { headers }), context)
    assert.deepEqual(sent[0]?.headers, [
      ['X-Api-Key', 'canary'],
      ['X-Z', '1'],
    ])
    assert.deepEqual(shownHeaders(context), [
      ['X-Api-Key', '***'],
      ['X-Z', '1'],
    ])
    assert.match(context.trail.warnings.join(), /Authorization header was not sent/)
  })

  test('a query value is encoded into the real target and hidden in the shown one; what is above sees neither', async () => {
    const { sent, dispatch } = aLayer(empty)
    const context = aContext()
    const request = given(
      { type: 'query', name: 'key', value: 'c&n a' },
      { url: aUrl('https://api.example.com/x?a=1&key=mine#f') },
    )
    await dispatch(request, context)
    assert.equal(sent[0]?.url.target, '/x?a=1&key=c%26n%20a')
    assert.equal(sent[0]?.url.href, 'https://api.example.com/x?a=1&key=c%26n%20a#f')
    assert.equal(context.trail.outgoing?.url, 'https://api.example.com/x?a=1&key=***#f')
    assert.equal(request.url.target, '/x?a=1&key=mine')
  })
})

describe('a stored secret that is not sent', () => {
  const insecure = { verify: false, ca: null, cert: null }
  const http = { url: aUrl('http://api.example.com/') }
  const plan = (over: Parameters<typeof aPlan>[0]): Partial<HopRequest> => ({ plan: aPlan({ credential: STORED, ...over }) })
  const CASES: [name: string, over: Partial<HopRequest>, secret: Secret, refusal: [type: string, message: RegExp] | null][] = [
    ['over plain http', http, aSecret(), ['Forbidden', /plain text.*allowPlaintextSecrets/]],
    [
      'over plain http where the adapter says so',
      { ...http, ...plan({ adapter: anAdapter({ allowPlaintextSecrets: true }) }) },
      aSecret(),
      null,
    ],
    ['to an unverified certificate', plan({ tls: insecure }), aSecret(), ['Forbidden', /not verified.*allowInsecureSecrets/]],
    [
      'to an unverified certificate where the adapter says so',
      plan({ tls: insecure, adapter: anAdapter({ tls: { ...anAdapter().tls, allowInsecureSecrets: true } }) }),
      aSecret(),
      null,
    ],
    ['with TRACE', { method: 'TRACE' }, aSecret(), ['Forbidden', /TRACE/]],
    [
      'a client certificate as a header',
      {},
      aSecret({ scheme: 'mtls', values: { ...certificates().client } }),
      ['UnknownCredential', /mtls.*cert/],
    ],
    [
      'the login of a proxy to an upstream',
      {},
      aSecret({ scheme: 'proxy-basic', values: { username: 'u', password: 'p' } }),
      ['UnknownCredential', /proxy-basic.*proxy\.credentials/],
    ],
  ]
  for (const [name, over, secret, refusal] of CASES)
    test(name, async () => {
      const { sent, dispatch } = aLayer(holding(secret))
      const call = dispatch(withCredential(STORED, over), aContext())
      if (!refusal) await call
      else
        await assert.rejects(call, (error) => {
          assert.ok(error instanceof GatewayError && error.type === refusal[0], String(error))
          assert.match(error.message, refusal[1])
          return true
        })
      assert.equal(sent.length, refusal ? 0 : 1)
    })
})

const DIGEST = 'Digest realm="r", nonce="n1", qop="auth"'
const challenge = (header = DIGEST, ...more: string[]): UpstreamResponse =>
  aResponse({ status: 401, reason: 'Unauthorized', rawHeaders: ['WWW-Authenticate', header, ...more], elapsed: 7 })
const digestAuth = { type: 'digest', username: 'u', password: 'canary' } as const

describe('digest', () => {
  const params = (request: HopRequest | undefined): ReadonlyMap<string, string> | undefined =>
    parseChallenges(getHeader(request?.headers ?? [], 'authorization') ?? '')[0]?.params

  test('the challenge is answered with the same body; the 401 is history, the answer a renewed credential', async () => {
    const { sent, dispatch } = aLayer(empty, [challenge()])
    const context = aContext()
    const body = Buffer.from('payload')
    const request = given(digestAuth, {
      method: 'POST',
      url: aUrl('https://api.example.com/a?b=c'),
      body,
      headers: [['X-A', '1']],
    })
    const response = await dispatch(request, context)
    assert.equal(response.status, 200)
    assert.equal(getHeader(sent[0]?.headers ?? [], 'authorization'), undefined)
    assert.equal(sent[1]?.body, body)
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex')
    const answer = params(sent[1])
    const proof = `${md5('u:r:canary')}:n1:00000001:${answer?.get('cnonce')}:auth:${md5('POST:/a?b=c')}`
    assert.equal(answer?.get('response'), md5(proof))
    assert.deepEqual(context.trail.history, [
      {
        method: 'POST',
        status: 401,
        reason: 'Unauthorized',
        url: 'https://api.example.com/a?b=c',
        rawHeaders: ['WWW-Authenticate', DIGEST],
        elapsed: 7,
      },
    ])
    assert.deepEqual(context.trail.takeWait(), { waited: 0, because: 'renewed credential' })
    assert.deepEqual(shownHeaders(context), [
      ['X-A', '1'],
      ['Authorization', 'Digest ***'],
    ])
  })

  test('a wrong password ends with the second 401, and the first alone is history', async () => {
    const { sent, dispatch } = aLayer(empty, [challenge(), challenge(), challenge()])
    const context = aContext()
    assert.equal((await dispatch(given(digestAuth), context)).status, 401)
    assert.equal(sent.length, 2)
    assert.equal(context.trail.history.length, 1)
  })

  test('a stale nonce is renewed once', async () => {
    const stale = `${DIGEST.replace('n1', 'n2')}, stale=true`
    const { sent, dispatch } = aLayer(empty, [challenge(), challenge(stale), challenge(stale)])
    assert.equal((await dispatch(given(digestAuth), aContext())).status, 401)
    assert.deepEqual(
      sent.map((request) => params(request)?.get('nonce')),
      [undefined, 'n1', 'n2'],
    )
  })

  test('a stored credential needs no 401 in the next call; one given in a descriptor begins anew with each', async () => {
    const stored = aLayer(holding(aSecret({ scheme: 'digest', values: { username: 'u', password: 'p' } })), [challenge()])
    const same = aLayer(empty, [challenge()])
    const request = given(digestAuth)
    for (let call = 0; call < 2; call++) {
      await stored.dispatch(withCredential(STORED), aContext())
      await same.dispatch(request, aContext())
    }
    const counts = (sent: HopRequest[]): unknown[] => sent.map((request) => params(request)?.get('nc'))
    assert.deepEqual(counts(stored.sent), [undefined, '00000001', '00000002'])
    assert.deepEqual(counts(same.sent), [undefined, '00000001', '00000002'], 'tries of one descriptor share a nonce')
    const other = aLayer(empty)
    await other.dispatch(given({ ...digestAuth }), aContext())
    assert.deepEqual(counts(other.sent), [undefined])
  })

  test('nextnonce of one answer is used for the next request', async () => {
    const secret = aSecret({ scheme: 'digest', values: { username: 'u', password: 'p' } })
    const accepted = aResponse({ rawHeaders: ['Authentication-Info', 'nextnonce="n9"'] })
    const { sent, dispatch } = aLayer(holding(secret), [challenge(), accepted])
    for (let call = 0; call < 2; call++) await dispatch(withCredential(STORED), aContext())
    assert.deepEqual([params(sent[2])?.get('nonce'), params(sent[2])?.get('nc')], ['n9', '00000001'])
  })

  test('another challenge, another status, or another credential: nothing is repeated', async () => {
    const CASES: [HopRequest, UpstreamResponse][] = [
      [given(digestAuth), challenge('Basic realm="r"')],
      [given(digestAuth), aResponse({ status: 403, rawHeaders: ['WWW-Authenticate', DIGEST] })],
      [given({ type: 'bearer', token: 't' }), challenge()],
      [aRequest(), challenge()],
    ]
    for (const [request, answer] of CASES) {
      const { sent, dispatch } = aLayer(empty, [answer])
      const context = aContext()
      assert.equal(await dispatch(request, context), answer)
      assert.equal(sent.length, 1)
      assert.deepEqual(context.trail.history, [])
    }
  })

  test('a call that was cancelled meanwhile sends no answer', async () => {
    const context = aContext()
    const hangUp = (): UpstreamResponse => {
      context.cancellation.cancel(new GatewayError('Cancelled', 'the caller hung up'))
      return challenge()
    }
    const { sent, dispatch } = aLayer(empty, [hangUp])
    await assert.rejects(dispatch(given(digestAuth), context), { type: 'Cancelled' })
    assert.equal(sent.length, 1)
  })

  test('cookies of the 401 go into the jar, the trail and the answer; one it removes is gone', async () => {
    const stored: string[] = []
    const jar: CookieJar = {
      ...aJar(),
      header: () => 'fresh=1; kept=jar',
      store: (_url, setCookies) => {
        stored.push(...setCookies)
        return [
          ['fresh', '1'],
          ['gone', null],
        ]
      },
    }
    const setCookies = ['fresh=1; Path=/', 'gone=; Max-Age=0']
    const { sent, dispatch } = aLayer(empty, [
      challenge(DIGEST, 'Set-Cookie', setCookies[0] ?? '', 'set-cookie', setCookies[1] ?? ''),
    ])
    const context = aContext({ jar })
    context.trail.setCookie('gone', 'x')
    await dispatch(given(digestAuth, { headers: [['Cookie', 'kept=mine; gone=x; fresh=0']] }), context)
    assert.deepEqual(stored, setCookies)
    assert.deepEqual([...context.trail.cookies], [['fresh', '1']])
    assert.equal(getHeader(sent[1]?.headers ?? [], 'cookie'), 'kept=mine; fresh=1')
    assert.equal(getHeader(shownHeaders(context), 'cookie'), 'kept=***; fresh=***')
  })
})

describe('a credential that must be obtained', () => {
  const secret = aSecret({
    scheme: 'oauth2-client-credentials',
    values: { tokenUrl: 'https://auth.example.com/token', clientId: 'c', clientSecret: 'canary' },
  })

  /** The layer; each token request is answered when the test says so. */
  function scene(answers: UpstreamResponse[] = []) {
    const clock = createFakeClock()
    const asked: { on: Parameters<TokenExchange>[1]; give(fields: object, status?: number): void }[] = []
    const exchange: TokenExchange = (_request, on) =>
      new Promise((resolve) => {
        const give = (fields: object, status = 200): void =>
          resolve({ kind: 'answer', status, body: Buffer.from(JSON.stringify(fields)) })
        asked.push({ on, give })
      })
    const sent: (string | undefined)[] = []
    const layer = credentials({ secrets: holding(secret), schemes: SCHEMES, openPool, tokens: tokenPorts({ clock, exchange }) })
    const dispatch = layer(async ({ headers }) => {
      sent.push(getHeader(headers, 'authorization'))
      return answers.shift() ?? aResponse()
    })
    return { clock, asked, sent, dispatch }
  }

  test('is asked for once for all calls that wait, in the name of the first, and the wait is told', async () => {
    const { clock, asked, sent, dispatch } = scene()
    const contexts = ['r-1', 'r-2', 'r-3'].map((requestId) => aContext({ requestId }))
    const calls = contexts.map((context) => dispatch(withCredential(STORED), context))
    await clock.advance(40)
    assert.deepEqual(
      asked.map(({ on: { credential, requestId } }) => [credential, requestId]),
      [['github', 'r-1']],
    )
    assert.deepEqual(sent, [])
    asked[0]?.give({ access_token: 'abc' })
    await Promise.all(calls)
    assert.deepEqual(sent, Array(3).fill('Bearer abc'))
    for (const context of contexts) {
      assert.deepEqual(context.trail.takeWait(), { waited: 40, because: 'renewed credential' })
      assert.deepEqual(shownHeaders(context), [['Authorization', 'Bearer ***']])
    }
    const later = aContext()
    await dispatch(withCredential(STORED), later)
    assert.deepEqual(later.trail.takeWait(), { waited: 0, because: null })
  })

  test('a call that ends while it waits ends alone: the others get the token', async () => {
    const { clock, asked, sent, dispatch } = scene()
    const [first, second] = [aContext(), aContext()]
    const calls = [first, second].map((context) => dispatch(withCredential(STORED), context))
    await clock.advance(10)
    first.cancellation.cancel(new GatewayError('Timeout', 'timeout.total ran out'))
    await assert.rejects(calls[0] ?? Promise.resolve(), { type: 'Timeout' })
    asked[0]?.give({ access_token: 'abc' })
    await calls[1]
    assert.deepEqual(sent, ['Bearer abc'])
  })

  test('where there is none, nothing goes out', async () => {
    const { clock, asked, sent, dispatch } = scene()
    const call = dispatch(withCredential(STORED), aContext())
    await clock.advance(0)
    asked[0]?.give({ error: 'invalid_client' }, 401)
    await assert.rejects(call, { type: 'CredentialUnavailable' })
    assert.deepEqual(sent, [])
  })

  test('a 401 has it renewed and the request repeated once; it is no history', async () => {
    const { clock, asked, sent, dispatch } = scene([aResponse(), challenge(), challenge()])
    const first = dispatch(withCredential(STORED), aContext())
    await clock.advance(0)
    asked[0]?.give({ access_token: 'old' })
    await first
    await clock.advance(5000)
    const context = aContext()
    const call = dispatch(withCredential(STORED), context)
    await clock.advance(30)
    asked[1]?.give({ access_token: 'new' })
    assert.equal((await call).status, 401)
    assert.deepEqual(sent, ['Bearer old', 'Bearer old', 'Bearer new'])
    assert.deepEqual(context.trail.history, [])
    assert.deepEqual(context.trail.takeWait(), { waited: 30, because: 'renewed credential' })
  })
})

test('what is shown never holds a secret, in any form', () => {
  const secretText = fc
    .string({ unit: fc.constantFrom(...'abcXYZ019-_.~ é&=%"\\/+'), minLength: 10, maxLength: 40 })
    .filter((text) => !/^\s/.test(text))
  const word = fc.stringMatching(/^[a-z]{1,8}$/)
  const auth = fc.oneof(
    fc.record({ type: fc.constantFrom('basic' as const, 'digest' as const), username: word, password: secretText }),
    fc.record({ type: fc.constant('bearer' as const), token: secretText }),
    fc.record({ type: fc.constantFrom('header' as const, 'query' as const), name: word, value: secretText }),
  )
  // A cookie's name is shown, so the secret stands in its value.
  const ownHeader = fc.oneof(
    fc.tuple(fc.constantFrom('authorization', 'Proxy-Authorization', 'Accept'), fc.constantFrom('Basic ', 'x=', '')),
    fc.tuple(fc.constant('cookie'), fc.constant('x=')),
  )
  return fc.assert(
    fc.asyncProperty(auth, secretText, fc.array(ownHeader, { maxLength: 3 }), word, async (auth, cookie, own, path) => {
      const { sent, dispatch } = aLayer(empty, [challenge()])
      const context = aContext()
      const headers = own.map(
        ([name, prefix]) => [name, name === 'Accept' ? '*/*' : prefix + cookie.replaceAll(';', '')] as const,
      )
      await dispatch(given(auth, { url: aUrl(`https://api.example.com/${path}`), headers }), context)
      assert.ok(sent.length > 0)
      const shown =
        JSON.stringify(context.trail.outgoing) + JSON.stringify(context.trail.warnings) + JSON.stringify(context.trail.history)
      const secret = 'password' in auth ? auth.password : 'token' in auth ? auth.token : auth.value
      for (const text of [secret, cookie])
        for (const encoding of ['utf8', 'latin1'] as const) {
          const bytes = Buffer.from(text, encoding)
          for (const form of [
            text,
            JSON.stringify(text).slice(1, -1),
            encodeURIComponent(text),
            bytes.toString('hex'),
            bytes.toString('base64'),
          ])
            assert.ok(!shown.includes(form), `${form} in ${shown}`)
        }
    }),
  )
})

describe('another version within an overlap', () => {
  const OLD = aSecret({ version: 2, values: { token: 'canary-old' } })
  const NEW = aSecret({ version: 3, values: { token: 'canary-new' } })
  const refusing = (): UpstreamResponse => aResponse({ status: 401, rawHeaders: ['Set-Cookie', 'seen=1'] })

  function inOverlap(answers: UpstreamResponse[], other: Secret | null = OLD) {
    const preferred: unknown[] = []
    const secrets: SecretVersions = {
      find: () => NEW,
      other: (secret) => (secret === NEW ? other : NEW),
      prefer: (secret, use) => void preferred.push([secret.version, use.origin]),
    }
    return { ...aLayer(secrets, answers), preferred }
  }
  const tokens = (sent: readonly HopRequest[]) => sent.map(({ headers }) => getHeader(headers, 'authorization'))

  test('refused with a 401, the other gets one try, named in the ledger, and is preferred after a success', async () => {
    const { sent, dispatch, preferred } = inOverlap([refusing()])
    const context = aContext({ jar: { ...aJar(), header: () => 'seen=1', store: () => [['seen', '1']] } })
    const response = await dispatch(withCredential(STORED), context)
    assert.equal(response.status, 200)
    assert.deepEqual(tokens(sent), ['Bearer canary-new', 'Bearer canary-old'])
    assert.equal(context.trail.credential, 'github@2')
    assert.equal(context.trail.takeWait().because, 'renewed credential')
    assert.deepEqual(context.trail.history, [])
    assert.deepEqual(preferred, [[2, 'https://api.example.com']])
    assert.equal(getHeader(sent[1]?.headers ?? [], 'cookie'), 'seen=1')
  })

  test('refused as well, its answer is the answer, and nothing is preferred', async () => {
    const { sent, dispatch, preferred } = inOverlap([refusing(), refusing()])
    assert.equal((await dispatch(withCredential(STORED), aContext())).status, 401)
    assert.equal(sent.length, 2)
    assert.deepEqual(preferred, [])
  })

  const ONCE: [name: string, answers: UpstreamResponse[], request: () => HopRequest, other: Secret | null][] = [
    ['where there is no other', [refusing()], () => withCredential(STORED), null],
    [
      'where a repeat is not safe',
      [refusing()],
      () => withCredential(STORED, { plan: aPlan({ credential: STORED, repeatable: false }) }),
      OLD,
    ],
    ['after another status', [aResponse({ status: 403 })], () => withCredential(STORED), OLD],
    ['for a credential of the descriptor', [refusing()], () => given({ type: 'bearer', token: 't' }), OLD],
  ]
  for (const [name, answers, request, other] of ONCE)
    test(`once is enough ${name}`, async () => {
      const { sent, dispatch } = inOverlap(answers, other)
      await dispatch(request(), aContext())
      assert.equal(sent.length, 1)
    })

  test('a caller who hung up gets no second try', async () => {
    const context = aContext()
    const hangsUp = (): UpstreamResponse => {
      context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
      return refusing()
    }
    const { sent, dispatch } = aLayer({ find: () => NEW, other: () => OLD, prefer: () => {} }, [hangsUp])
    await assert.rejects(dispatch(withCredential(STORED), context), { type: 'Cancelled' })
    assert.equal(sent.length, 1)
  })

  test('a scheme with a dialogue has its own before the other version has its', async () => {
    const login = (version: number, password: string): Secret =>
      aSecret({ version, scheme: 'digest', values: { username: 'u', password } })
    const secrets: SecretVersions = { find: () => login(3, 'new'), other: () => login(2, 'old'), prefer: () => {} }
    const { sent, dispatch } = aLayer(secrets, [challenge(), challenge(), challenge()])
    const context = aContext()
    assert.equal((await dispatch(withCredential(STORED), context)).status, 200)
    assert.equal(sent.length, 4)
    assert.equal(context.trail.credential, 'github@2')
  })
})
