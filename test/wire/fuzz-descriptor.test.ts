// Descriptors drawn from the published schema, and then spoiled. Every answer is a whole envelope with a status of the catalogue,
// the upstream gets nothing but well-formed HTTP, and nothing of it stays in memory.
// SALLYPORT_FUZZ=20 runs twenty times as many cases, with a seed of its own each time.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { buildOpenApi } from '../../src/descriptor/openapi.ts'
import { VERSION } from '../../src/model/version.ts'
import { CANARY, CANARY_TOKEN } from '../support/canary.ts'
import { type Reply, startGateway, type TestGateway } from '../support/gateway.ts'
import { createStrictUpstream, type StrictUpstream } from '../support/strict-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

const TIMES = Number(process.env.SALLYPORT_FUZZ ?? 1)
const SEED = TIMES === 1 ? 20_260_402 : Date.now() & 0x7fff_ffff
const SIDE_BY_SIDE = 16
const MIB = 1024 * 1024

let up: StrictUpstream
let gateway: TestGateway
const strays: unknown[] = []
const onStray = (reason: unknown): void => void strays.push(reason)

before(async () => {
  process.on('unhandledRejection', onStray)
  up = await createStrictUpstream()
  const open = {
    allowHostHeader: true,
    allowPlaintextSecrets: true,
    params: { fixed: '1' },
    propagate: ['traceparent', 'x-request-id'],
  }
  const policed = { ...open, mount: `${up.origin}/policed/`, paths: ['/policed/**'], methods: ['GET', 'POST'], redirects: 'none' }
  gateway = await startGateway({
    adapters: [loopbackAdapter('up', up.origin, open), loopbackAdapter('policed', up.origin, policed)],
    secrets: [
      { name: 'basic', scheme: 'basic', values: { username: 'u', password: CANARY }, origins: [up.origin], callers: ['*'] },
      { name: 'bearer', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [up.origin], callers: ['*'] },
      { name: 'query', scheme: 'query', values: { name: '__proto__', value: CANARY }, origins: [up.origin], callers: ['*'] },
      { name: 'digest', scheme: 'digest', values: { username: 'u', password: CANARY }, origins: [up.origin], callers: ['*'] },
      {
        name: 'elsewhere',
        scheme: 'bearer',
        values: { token: CANARY_TOKEN },
        origins: ['https://api.example.com'],
        callers: ['*'],
      },
    ],
  })
})

after(async () => {
  await gateway.stop() // looks for the canaries in all that came out
  await up.close()
  process.off('unhandledRejection', onStray)
  assert.deepEqual(strays, [], 'a promise was rejected and nobody heard')
  for (const shared of [Object, Array, Map, Function])
    assert.deepEqual(Object.keys(shared.prototype), [], 'a prototype was written to')
})

interface Schema {
  readonly $ref?: string
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly type?: string
  readonly pattern?: string
  readonly contentEncoding?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly prefixItems?: readonly Schema[]
  readonly items?: Schema
}

const { components } = buildOpenApi(VERSION) as { components: { schemas: Record<string, Schema> } }

const trouble = fc.constantFrom(
  ...[
    '',
    ' ',
    '\0',
    '\r\n',
    'a\r\nX-Evil: 1',
    '\u0085x',
    'é',
    'ÿ',
    '€',
    '\u212a',
    '😀',
    '\ud800',
    '__proto__',
    'constructor',
    '%',
    '%00',
    '%0d%0a',
  ],
  ...[
    '../..',
    '//',
    '\\',
    '#',
    '?',
    '&=;',
    '"',
    "'",
    'null',
    'NaN',
    '1e400',
    '-1',
    'Host',
    'Content-Length',
    'proxy-x',
    '*',
    '$(id)',
    '{{x}}',
  ],
  ...[
    'basic',
    'bearer',
    'query',
    'digest',
    'elsewhere',
    '1ms',
    '50ms',
    '9999h',
    '1GiB',
    'utf-7',
    'base64',
    'x'.repeat(300),
    'é'.repeat(5000),
  ],
)
const word = fc.oneof(trouble, fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ maxLength: 12 }))

/** Any value that the schema takes, as far as JSON Schema can say it. */
function drawn(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  const { $ref, anyOf, oneOf } = schema
  if ($ref !== undefined) return drawn(components.schemas[$ref.split('/').at(-1) as string] as Schema, depth)
  const choices = anyOf ?? oneOf
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => drawn(choice, depth)))
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.oneof(
        fc.integer({ min: schema.minimum ?? -5, max: Math.min(schema.maximum ?? 5000, 5000) }),
        fc.constant(schema.minimum ?? 0),
      )
    case 'number':
      return fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger())
    case 'string':
      return drawnText(schema)
    case 'array':
      if (schema.prefixItems) return fc.tuple(...schema.prefixItems.map((item) => drawn(item, depth + 1)))
      return fc.array(drawn(schema.items ?? {}, depth + 1), { maxLength: 3 })
    case 'object':
      return drawnObject(schema, depth)
    default:
      return fc.jsonValue({ maxDepth: 2, stringUnit: 'binary' })
  }
}

function drawnText({ pattern, contentEncoding, maxLength }: Schema): fc.Arbitrary<string> {
  if (contentEncoding === 'base64') return fc.base64String({ maxLength: 40 })
  if (pattern !== undefined)
    return fc.oneof(
      fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, 60)),
      word,
    )
  return word.map((text) => text.slice(0, maxLength ?? text.length))
}

function drawnObject({ properties, required = [], additionalProperties }: Schema, depth: number): fc.Arbitrary<unknown> {
  if (properties === undefined) {
    const value = typeof additionalProperties === 'object' ? additionalProperties : {}
    return fc.dictionary(word, drawn(value, depth + 1), { maxKeys: 3, noNullPrototype: true })
  }
  const named = Object.entries(properties).map(([name, value]) => {
    const optional = !required.includes(name)
    return [
      name,
      optional ? fc.option(drawn(value, depth + 1), { nil: undefined, freq: depth === 0 ? 1 : 3 }) : drawn(value, depth + 1),
    ] as const
  })
  return fc.record(Object.fromEntries(named))
}

/** Where most of them go: a URL that leads somewhere, spelled in many ways. */
const url = (): fc.Arbitrary<string> => {
  const site = fc.constantFrom(
    up.origin,
    up.origin.replace('http:', 'HTTP:'),
    up.origin.replace('//', '//u:p@'),
    up.origin.replace('127.0.0.1', '0x7f000001'),
  )
  const tail = fc.oneof(
    fc.constantFrom('/', '/policed/x', '/policed/%2e%2e/x', '/policed/..%2fx', '?a=1', '#f'),
    word.map((text) => `/${text}`),
  )
  const leads = fc.tuple(site, tail).map(([before, behind]) => before + behind)
  return fc.oneof(
    { arbitrary: leads, weight: 5 },
    { arbitrary: word, weight: 1 },
    { arbitrary: fc.constantFrom('http://10.0.0.1/', 'https://[::1]/', 'ftp://x/'), weight: 1 },
  )
}

/** Few keys at a time: of a descriptor with all of them nearly every one is refused for its body's company. */
const descriptor = (): fc.Arbitrary<Record<string, unknown>> => {
  const { properties = {} } = components.schemas.RequestDescriptor as Schema
  const keys = Object.keys(properties).filter((key) => key !== 'url')
  const values = Object.fromEntries(keys.map((key) => [key, drawn(properties[key] as Schema, 1)]))
  return fc
    .subarray(keys, { maxLength: 5 })
    .chain((chosen) =>
      fc.record({ url: url(), ...Object.fromEntries(chosen.map((key) => [key, values[key] as fc.Arbitrary<unknown>])) }),
    )
}

type Spoil = (text: string) => string

/** What people, and those who mean harm, make of a descriptor. */
const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  { arbitrary: fc.constant<Spoil>((text) => text), weight: 4 },
  fc.tuple(word, fc.json()).map(
    ([key, value]): Spoil =>
      (text) =>
        text.replace('{', () => `{${JSON.stringify(key)}:${value},`),
  ),
  fc.constantFrom<Spoil>(
    (text) => text.replace('{', '{"url":"x",'),
    (text) => text.replace('{', '{"__proto__":{"method":"PUT"},"constructor":1,'),
    (text) => `[${text}]`,
    (text) => `\ufeff${text}`,
    (text) => text.slice(0, -1),
    (text) => `${text}}`,
    (text) => text.replaceAll(/\d+/g, 'NaN'),
    (text) => text.replaceAll('"', "'"),
    (text) => text.replace(/:(?:true|false|null|\d+)/, ':{"a":[{}]}'),
    (text) => text.replaceAll('a', '\\u0061'),
    (text) => text.replace('}', `,"json":${'['.repeat(70)}${']'.repeat(70)}}`),
  ),
)

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

/** The shapes are judged by the harness as each answer arrives. */
function assertTyped(reply: Reply, sent: string): void {
  const type = reply.envelope?.error?.type
  assert.notEqual(type, 'InternalError', sent)
}

test('a descriptor of whatever making gets a whole envelope, and the upstream well-formed HTTP alone', async () => {
  const types = new Map<string, number>()
  const one = fc.tuple(descriptor(), spoil).map(([value, change]) => change(JSON.stringify(value)))
  const many = fc.array(one, { minLength: SIDE_BY_SIDE, maxLength: SIDE_BY_SIDE })
  await fc.assert(
    fc.asyncProperty(many, async (bodies) => {
      const before = up.received
      const replies = await Promise.all(
        bodies.map((body) => gateway.post('/v1/requests', body, { echoes: body.includes('cnry') })),
      )
      for (const [index, reply] of replies.entries()) {
        assertTyped(reply, bodies[index] as string)
        const type = reply.envelope.error?.type ?? 'none'
        types.set(type, (types.get(type) ?? 0) + 1)
      }
      assert.deepEqual(up.breaches, [])
      const tried = replies.flatMap(({ envelope }) => envelope.attempts).filter(({ sent }) => sent === 'yes').length
      assert.ok(up.received - before >= tried, 'an answer tells of a try that never reached the upstream')
    }),
    { numRuns: 60 * TIMES, seed: SEED, endOnFailure: true },
  )
  for (const type of ['none', 'InvalidDescriptor', 'InvalidHeader', 'InvalidURL', 'EgressDenied', 'Forbidden'])
    assert.ok((types.get(type) ?? 0) > 5, `${type} came ${types.get(type) ?? 0} times only: ${JSON.stringify([...types])}`)
  assert.doesNotMatch(gateway.logs(), /internal error/)
})

test('prepare and batch take the same, and agree', async () => {
  const one = fc.tuple(descriptor(), spoil).map(([value, change]) => change(JSON.stringify(value)))
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 4, maxLength: 4 }), async (bodies) => {
      const before = up.received
      for (const reply of await Promise.all(bodies.map((body) => gateway.post('/v1/prepare', body))))
        assertTyped(reply, bodies.join('\n'))
      assert.equal(up.received, before, 'prepare sent something')
      const batch = await gateway.post('/v1/batch', `{"requests":[${bodies.join(',')}]}`, { echoes: true })
      if (batch.status !== 200) assertTyped(batch, bodies.join('\n'))
      else for (const envelope of batch.envelope.responses) assertTyped({ ...batch, envelope }, bodies.join('\n'))
    }),
    { numRuns: 25 * TIMES, seed: SEED, endOnFailure: true },
  )
  assert.deepEqual(up.breaches, [])
})

test('nothing of them stays in memory', async () => {
  const round = async (): Promise<number> => {
    for (let i = 0; i < 40; i++) {
      const spent = { url: `${up.origin}/${i}`, tags: { i: String(i) }, json: { fill: 'x'.repeat(100_000) }, method: 'POST' }
      await Promise.all([gateway.call(spent, { echoes: true }), gateway.call({ ...spent, nope: 1 }, { echoes: true })])
    }
    collectGarbage()
    return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  }
  await round()
  const before = await round()
  const grown = (await round()) - before
  assert.ok(grown < 8 * MIB, `${(grown / MIB).toFixed(1)} MiB more after 80 calls with ${(80 * 0.1).toFixed(0)} MB of bodies`)
})
