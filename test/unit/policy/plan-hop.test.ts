import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdapterPolicy, TlsPolicy } from '../../../src/model/adapter-policy.ts'
import type { Descriptor } from '../../../src/model/descriptor.ts'
import type { Routes } from '../../../src/model/ports.ts'
import { callTimeoutMs, type HopAsk, planHop } from '../../../src/policy/plan-hop.ts'
import { aDescriptor, anAdapter, CEILINGS } from '../../support/builders.ts'

const TLS: TlsPolicy = { verify: true, ca: null, cert: null, allowInsecure: false, allowInsecureSecrets: false }
const ROUTES: Routes = { ceilings: CEILINGS, caBundles: new Set(['corporate']), find: () => null }

interface Case extends Partial<Omit<HopAsk, 'adapter' | 'descriptor'>> {
  readonly adapter?: Partial<AdapterPolicy>
  readonly descriptor?: Partial<Descriptor>
}

function plan({ adapter, descriptor, ...rest }: Case = {}) {
  const asked = aDescriptor(descriptor)
  return planHop({
    adapter: anAdapter(adapter),
    because: 'longest prefix',
    descriptor: asked,
    routes: ROUTES,
    method: asked.method,
    userinfo: null,
    originChanged: false,
    ...rest,
  })
}

function refusal(asked: Case): GatewayError {
  try {
    plan(asked)
  } catch (error) {
    assert.ok(error instanceof GatewayError)
    return error
  }
  throw new assert.AssertionError({ message: 'nothing was refused' })
}

test("a descriptor that asks nothing gets the adapter's own objects", () => {
  const adapter = anAdapter()
  const { plan: made, warnings } = planHop({
    adapter,
    because: 'x',
    descriptor: aDescriptor(),
    routes: ROUTES,
    method: 'GET',
    userinfo: null,
    originChanged: false,
  })
  assert.equal(made.retry, adapter.retry)
  assert.equal(made.tls, adapter.tls)
  assert.deepEqual([made.connectMs, made.readMs, made.maxResponseBytes], [2000, 10_000, adapter.responseSize])
  assert.deepEqual(warnings, [])
})

test('clocks and sizes may be lowered and raised up to the ceiling', () => {
  const { plan: made, warnings } = plan({ descriptor: { timeout: { connect: 10, read: 60_000 }, maxResponseSize: 20_000_000 } })
  assert.deepEqual([made.connectMs, made.readMs, made.maxResponseBytes], [10, 60_000, 20_000_000])
  assert.deepEqual(warnings, [])
})

test('what exceeds a ceiling is clamped, and said', () => {
  const { plan: made, warnings } = plan({
    descriptor: { timeout: { connect: 130_000, read: 130_000 }, maxResponseSize: 1e9, maxRetries: { total: 9, read: 7 } },
  })
  assert.deepEqual([made.connectMs, made.readMs, made.maxResponseBytes], [120_000, 120_000, CEILINGS.responseSize])
  assert.deepEqual([made.retry.total, made.retry.read, made.retry.connect], [5, 5, null])
  assert.deepEqual(warnings.toSorted(), [
    'maxResponseSize clamped to 67108864',
    'maxRetries clamped to 5',
    'maxRetries.read clamped to 5',
    'timeout.connect clamped to 120000',
    'timeout.read clamped to 120000',
  ])
})

test('more redirects than any call may follow are clamped, and said', () => {
  assert.deepEqual(plan({ descriptor: { maxRedirects: 100 } }).warnings, [])
  assert.deepEqual(plan({ descriptor: { maxRedirects: 101 } }).warnings, ['maxRedirects clamped to 100'])
})

test('the total clock is the adapter’s, or what was asked up to the ceiling', () => {
  const adapter = anAdapter()
  const total = (asked: number | undefined) =>
    callTimeoutMs(aDescriptor({ timeout: asked === undefined ? {} : { total: asked } }), adapter, CEILINGS, null)
  const key = 'timeout.total'
  assert.deepEqual(total(undefined), { totalMs: 30_000, key, warnings: [] })
  assert.deepEqual(total(60_000), { totalMs: 60_000, key, warnings: [] })
  assert.deepEqual(total(999_999), { totalMs: 120_000, key, warnings: ['timeout.total clamped to 120000'] })
})

test('what the caller itself still waits shortens the total clock and never lengthens it', () => {
  const total = (timeLeftMs: number) => callTimeoutMs(aDescriptor({ timeout: {} }), anAdapter(), CEILINGS, timeLeftMs)
  const key = 'X-Sallyport-Timeout'
  assert.deepEqual(total(1500.7), { totalMs: 1500, key, warnings: [] })
  assert.deepEqual(total(-3), { totalMs: 0, key, warnings: [] })
  assert.deepEqual(total(30_000), { totalMs: 30_000, key: 'timeout.total', warnings: [] })
  assert.deepEqual(total(90_000), { totalMs: 30_000, key: 'timeout.total', warnings: [] })
})

test('a plain number of retries bounds every reason by the same, whatever the adapter says, and is warned of once', () => {
  const { plan: made, warnings } = plan({
    adapter: { retry: { ...anAdapter().retry, connect: 1, read: 0 } },
    descriptor: { maxRetries: { total: 9, connect: 9, read: 9, status: 9 } },
  })
  const { total, connect, read, status } = made.retry
  assert.deepEqual([total, connect, read, status], [5, 5, 5, 5])
  assert.deepEqual(warnings, ['maxRetries clamped to 5'])
})

test('retries may be asked for where the adapter makes none', () => {
  const own = anAdapter().retry
  const { plan: made } = plan({ adapter: { retry: { ...own, total: 0 } }, descriptor: { maxRetries: { total: 3 } } })
  assert.deepEqual(made.retry, { ...own, total: 3 })
})

test("each key of a Retry that is absent is the adapter's", () => {
  const own = { ...anAdapter().retry, connect: 1 }
  const { plan: made } = plan({
    adapter: { retry: own },
    descriptor: {
      maxRetries: {
        status: 0,
        statusForcelist: [500],
        backoffFactor: 5,
        backoffMax: 6,
        respectRetryAfterHeader: false,
        raiseOnStatus: true,
      },
    },
  })
  assert.deepEqual(made.retry, {
    ...own,
    status: 0,
    statusForcelist: [500],
    backoffFactorMs: 5,
    backoffMaxMs: 6,
    respectRetryAfterHeader: false,
    raiseOnStatus: true,
  })
})

test('a caller narrows the list of methods; widening it is clamped, and said', () => {
  const asked = (allowedMethods: readonly string[] | null) => plan({ descriptor: { maxRetries: { allowedMethods } } })
  assert.deepEqual([asked(['GET']).plan.retry.allowedMethods, asked(['GET']).warnings], [['GET'], []])
  const widened = asked(['GET', 'POST'])
  assert.deepEqual([widened.plan.retry.allowedMethods, widened.warnings], [['GET'], ['maxRetries.allowedMethods clamped to GET']])
  assert.deepEqual(asked(['POST']).warnings, ['maxRetries.allowedMethods clamped to none'])
  assert.deepEqual(asked(null).plan.retry.allowedMethods, anAdapter().retry.allowedMethods)
})

test('where the adapter retries any method, a caller may still narrow that', () => {
  const retry = { ...anAdapter().retry, allowedMethods: null }
  const { plan: made } = plan({ adapter: { retry }, descriptor: { maxRetries: { allowedMethods: ['POST'] } } })
  assert.deepEqual(made.retry.allowedMethods, ['POST'])
})

const REPEATABLE: readonly [name: string, asked: Case, repeatable: boolean][] = [
  ['a GET is', { method: 'GET' }, true],
  ['a PUT is', { method: 'PUT' }, true],
  ['a POST is not', { method: 'POST' }, false],
  ['a POST with an idempotency key is', { method: 'POST', descriptor: { idempotencyKey: 'k' } }, true],
  [
    'any method is where the adapter says so',
    { method: 'POST', adapter: { retry: { ...anAdapter().retry, allowedMethods: null } } },
    true,
  ],
  [
    'a PUT is not once the caller has narrowed the list',
    { method: 'PUT', descriptor: { maxRetries: { allowedMethods: ['GET'] } } },
    false,
  ],
]
for (const [name, asked, repeatable] of REPEATABLE) {
  test(`repeatable: ${name}`, () => assert.equal(plan(asked).plan.repeatable, repeatable))
}

const SECRET = { credentials: 'token' }
const CREDENTIALS: readonly [name: string, asked: Case, choice: unknown][] = [
  ['none is configured', {}, { kind: 'none' }],
  ["the adapter's own", { adapter: SECRET }, { kind: 'stored', name: 'token', from: 'adapter' }],
  ['auth: null means none at all', { adapter: SECRET, descriptor: { auth: null } }, { kind: 'none' }],
  [
    "userinfo beats the adapter's",
    { adapter: SECRET, userinfo: { username: 'u', password: 'p' } },
    { kind: 'given', auth: { type: 'basic', username: 'u', password: 'p' } },
  ],
  [
    'auth beats userinfo',
    { adapter: SECRET, userinfo: { username: 'u', password: 'p' }, descriptor: { auth: { type: 'bearer', token: 't' } } },
    { kind: 'given', auth: { type: 'bearer', token: 't' } },
  ],
  ['a stored secret by name', { descriptor: { auth: { secret: 's' } } }, { kind: 'stored', name: 's', from: 'descriptor' }],
  [
    'after a change of origin what was given is dropped',
    { originChanged: true, userinfo: { username: 'u', password: 'p' }, descriptor: { auth: { secret: 's' } } },
    { kind: 'none' },
  ],
  [
    "after a change of origin a GET gets the new adapter's own",
    { originChanged: true, adapter: SECRET, descriptor: { auth: { secret: 's' } } },
    { kind: 'stored', name: 'token', from: 'adapter' },
  ],
  [
    'after a change of origin auth: null still means none',
    { originChanged: true, method: 'POST', adapter: SECRET, descriptor: { auth: null } },
    { kind: 'none' },
  ],
]
for (const [name, asked, choice] of CREDENTIALS) {
  test(`credential: ${name}`, () => assert.deepEqual(plan(asked).plan.credential, choice))
}

test('a client certificate is the one asked for, else the adapter’s; after a change of origin always the adapter’s', () => {
  const adapter = { tls: { ...TLS, cert: 'own' } }
  assert.equal(plan({ adapter }).plan.tls.cert, 'own')
  assert.equal(plan({ adapter, descriptor: { cert: 'mine' } }).plan.tls.cert, 'mine')
  assert.equal(plan({ descriptor: { cert: 'mine' }, originChanged: true }).plan.tls.cert, null)
})

test('verify with the name of a bundle verifies against it', () => {
  const { plan: made, warnings } = plan({ adapter: { tls: { ...TLS, verify: false } }, descriptor: { verify: 'corporate' } })
  assert.deepEqual([made.tls.verify, made.tls.ca, warnings], [true, 'corporate', []])
})

test('an unknown bundle is a fault of the descriptor', () => {
  const error = refusal({ descriptor: { verify: 'corporat' } })
  assert.equal(error.type, 'InvalidDescriptor')
  assert.deepEqual((error.detail as { pointer: string }[])[0]?.pointer, '/verify')
})

test('verify: false where the adapter allows it goes out with the warning that Requests gives', () => {
  const { plan: made, warnings } = plan({ adapter: { tls: { ...TLS, allowInsecure: true } }, descriptor: { verify: false } })
  assert.equal(made.tls.verify, false)
  assert.match(warnings.join(), /^InsecureRequestWarning: .*`verify` is false$/)
})

test('an adapter that does not verify says so in every envelope', () => {
  assert.match(
    plan({ adapter: { tls: { ...TLS, verify: false } } }).warnings.join(),
    /^InsecureRequestWarning: .*adapter "example"/,
  )
})

test('over plain http there is no certificate to warn of', () => {
  assert.deepEqual(plan({ adapter: { mount: 'http://h/', tls: { ...TLS, verify: false } } }).warnings, [])
})

const REFUSALS: readonly [name: string, asked: Case, message: RegExp][] = [
  ['verify: false where the adapter does not allow it', { descriptor: { verify: false } }, /tls\.allowInsecure would allow it/],
  ['a stored secret over plain http', { adapter: { mount: 'http://h/', ...SECRET } }, /"token" is not sent over plain http/],
  [
    'a secret named by the caller over plain http',
    { adapter: { mount: 'http://' }, descriptor: { auth: { secret: 's' } } },
    /allowPlaintextSecrets/,
  ],
  [
    'a stored secret to an unverified server',
    { adapter: { tls: { ...TLS, allowInsecure: true }, ...SECRET }, descriptor: { verify: false } },
    /tls\.allowInsecureSecrets/,
  ],
  ['a client certificate to an unverified server', { adapter: { tls: { ...TLS, verify: false, cert: 'c' } } }, /certificate "c"/],
  ['TRACE with a stored secret', { method: 'TRACE', adapter: SECRET }, /TRACE would echo/],
  ['TRACE with a given one', { method: 'TRACE', descriptor: { auth: { type: 'bearer', token: 't' } } }, /TRACE would echo/],
  [
    'a POST led to another origin that has a credential',
    { method: 'POST', originChanged: true, adapter: SECRET },
    /only GET and HEAD/,
  ],
  [
    'a DELETE led to another origin that has a certificate',
    { method: 'DELETE', originChanged: true, adapter: { tls: { ...TLS, cert: 'c' } } },
    /only GET and HEAD/,
  ],
]
for (const [name, asked, message] of REFUSALS) {
  test(`refused: ${name}`, () => {
    const error = refusal(asked)
    assert.equal(error.type, 'Forbidden')
    assert.match(error.message, message)
  })
}

const ALLOWED: readonly [name: string, asked: Case][] = [
  [
    'a secret over plain http with allowPlaintextSecrets',
    { adapter: { mount: 'http://h/', allowPlaintextSecrets: true, ...SECRET } },
  ],
  [
    'a secret to an unverified server with allowInsecureSecrets',
    { adapter: { tls: { ...TLS, verify: false, allowInsecureSecrets: true }, ...SECRET } },
  ],
  [
    'a credential of the caller’s own over plain http',
    { adapter: { mount: 'http://h/' }, descriptor: { auth: { type: 'bearer', token: 't' } } },
  ],
  ['TRACE without a credential', { method: 'TRACE', adapter: SECRET, descriptor: { auth: null } }],
  ['a POST with a stored secret to where it was sent in the first place', { method: 'POST', adapter: SECRET }],
  ['a POST led to another origin without credentials', { method: 'POST', originChanged: true }],
  ['a HEAD led to another origin that has a credential', { method: 'HEAD', originChanged: true, adapter: SECRET }],
  ['a certificate that plain http never shows', { adapter: { mount: 'http://h/', tls: { ...TLS, cert: 'c' } } }],
]
for (const [name, asked] of ALLOWED) test(`allowed: ${name}`, () => assert.doesNotThrow(() => plan(asked)))

test('no refusal shows a credential given in the descriptor', () => {
  const error = refusal({ method: 'TRACE', descriptor: { auth: { type: 'basic', username: 'u', password: 'hunter2' } } })
  assert.doesNotMatch(JSON.stringify([error.message, error.detail ?? null]), /hunter2/)
})
