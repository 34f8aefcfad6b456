// What every credential scheme must do, whatever it injects. Run over the list of schemes; a new one is held to it by being there.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkSecret } from '../../src/credentials/provision.ts'
import { PEM_EXAMPLE, type Scheme } from '../../src/credentials/scheme.ts'
import { GatewayError } from '../../src/errors/gateway-error.ts'
import type { OpenCredential } from '../../src/model/credential-scheme.ts'
import { anAdapter, aPlan, aRequest } from '../support/builders.ts'
import { CANARY_TOKEN, findCanaries } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { anErrand, tokenPorts } from '../support/token-ports.ts'

type Values = Readonly<Record<string, string>>

const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/

/** Under an adapter that says where values go, for the scheme that leaves it to that. */
const PLAN = aPlan({
  adapter: anAdapter({
    credentials: 'it',
    placement: { path: '/k{value}/**', query: [['k', '{value}']], headers: [['X-Key', 'Key {value}']], body: [] },
  }),
  credential: { kind: 'stored', name: 'it', from: 'adapter' },
})

const ERRAND = anErrand(
  tokenPorts({
    async exchange() {
      return { kind: 'answer', status: 200, body: Buffer.from(JSON.stringify({ access_token: CANARY_TOKEN })) }
    },
  }),
)

/** Opened, and ready to be injected. */
async function ready(scheme: Scheme, values: Values): Promise<OpenCredential> {
  const credential = scheme.open(values)
  await credential.obtain?.(ERRAND, aRequest())
  return credential
}

/** `whole`: a value for each field; what must be secret is the canary, but for keys, which have a form. */
export function credentialSchemeSuite(scheme: Scheme, whole: Values): void {
  describe(`scheme ${scheme.name}`, () => {
    test('takes its fields, and no value that it does not know', () => {
      assert.deepEqual(Object.keys(whole).sort(), [...scheme.fields].sort())
      assert.equal(scheme.values.safeParse(whole).success, true)
      assert.equal(scheme.values.safeParse({ ...whole, extra: 'x' }).success, scheme.named === true)
    })

    test('opens without what is optional, absent or empty, and not without the rest', () => {
      for (const field of scheme.fields) {
        const { [field]: _left, ...rest } = whole
        // Without its algorithm the key would be one of another kind.
        if (scheme.name === 'jwt-bearer' && field === 'algorithm') continue
        assert.equal(scheme.values.safeParse(rest).success, scheme.optional.has(field), field)
        if (scheme.optional.has(field)) assert.equal(scheme.values.safeParse({ ...whole, [field]: '' }).success, true, field)
      }
    })

    test('opens from its own example, which holds no secret', () => {
      assert.ok(scheme.about.length > 0)
      const { key, cert } = certificates().client
      const real = new Map([
        ['…', CANARY_TOKEN],
        [PEM_EXAMPLE.key, key],
        [PEM_EXAMPLE.certificate, cert],
      ])
      assert.ok(Object.values(scheme.example).some((value) => real.has(value)))
      const values = Object.fromEntries(Object.entries(scheme.example).map(([name, value]) => [name, real.get(value) ?? value]))
      checkSecret({ name: 'it', scheme: scheme.name, values, origins: ['https://api.example.com'], callers: ['*'] })
      scheme.open(values)
    })

    test('injects header text at each try, and shows nothing of it', async () => {
      const credential = await ready(scheme, whole)
      for (const body of [null, Buffer.from('x')]) {
        const { headers, rewritten } = credential.inject(aRequest({ method: body ? 'POST' : 'GET', body, plan: PLAN }))
        for (const { name, value, masked } of headers) {
          assert.match(name, /^[A-Za-z0-9-]+$/)
          assert.match(value, HEADER_TEXT)
          assert.match(masked, /(?:^|^[A-Z0-9a-z-]+ )\*\*\*$/)
        }
        const shown = [headers.map(({ name, masked }) => [name, masked]), rewritten?.shown.url.href]
        assert.deepEqual(findCanaries(JSON.stringify(shown)), [])
      }
    })

    test('repeats nothing of a value that it refuses, and lets no control character into a header', async () => {
      for (const field of scheme.fields)
        for (const odd of ['\r\n', '\0', '\x7f', '\ud800', '€', ' ', '\n-----BEGIN PRIVATE KEY-----']) {
          for (const value of [`${CANARY_TOKEN}${odd}`, `${odd}${CANARY_TOKEN}`, `${whole[field]}${odd}${CANARY_TOKEN}`])
            await refusesOrInjects(scheme, { ...whole, [field]: value })
        }
    })

    test('either refuses values or injects header text', () => {
      const text = fc.string({
        unit: fc.oneof(
          fc.constantFrom('\r', '\n', '\0', ' ', '€', 'é', '"', '\\', 'a'),
          fc.string({ minLength: 1, maxLength: 1 }),
        ),
      })
      // Reading a key costs too much to do it often.
      const numRuns = scheme.name === 'mtls' || scheme.name === 'jwt-bearer' ? 10 : 40
      return fc.assert(
        fc.asyncProperty(fc.constantFrom(...scheme.fields), text, (field, given) =>
          refusesOrInjects(scheme, { ...whole, [field]: given }),
        ),
        { numRuns },
      )
    })
  })
}

async function refusesOrInjects(scheme: Scheme, values: Values): Promise<void> {
  try {
    const credential = await ready(scheme, values)
    for (const { value } of credential.inject(aRequest({ plan: PLAN })).headers) assert.match(value, HEADER_TEXT)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    assert.deepEqual(findCanaries(`${error.message} ${JSON.stringify(error.detail ?? null)} ${error.privateDetail ?? ''}`), [])
  }
}
