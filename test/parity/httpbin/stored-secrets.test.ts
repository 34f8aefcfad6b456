// Stored secrets against httpbin's own checks: it says whether it knows who called, and the envelope shows nothing of how.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { NewSecret } from '../../../src/credentials/provision.ts'
import { startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Httpbin, startHttpbin } from '../../support/httpbin.ts'

// httpbin is told them in the URL that it checks them against, so none is the canary.
const USER = 'billing'
const PASSWORD = 'passwd'
const SECRETS: readonly Pick<NewSecret, 'name' | 'scheme' | 'values'>[] = [
  { name: 'basic', scheme: 'basic', values: { username: USER, password: PASSWORD } },
  { name: 'basic-wrong', scheme: 'basic', values: { username: USER, password: `${PASSWORD}x` } },
  { name: 'bearer', scheme: 'bearer', values: { token: 'xyz.xyz' } },
  { name: 'digest', scheme: 'digest', values: { username: USER, password: PASSWORD } },
  { name: 'digest-wrong', scheme: 'digest', values: { username: USER, password: `${PASSWORD}x` } },
  { name: 'header', scheme: 'header', values: { name: 'X-Api-Key', value: 'abc' } },
  { name: 'query', scheme: 'query', values: { name: 'api_key', value: 'abc' } },
]

type Told = Record<string, unknown>
const known = { authenticated: true, user: USER }

const CASES: [name: string, secret: string, path: string, status: number, told: Told | null][] = [
  ['basic', 'basic', `/basic-auth/${USER}/${PASSWORD}`, 200, known],
  ['basic, hidden', 'basic', `/hidden-basic-auth/${USER}/${PASSWORD}`, 200, known],
  ['basic, wrong', 'basic-wrong', `/basic-auth/${USER}/${PASSWORD}`, 401, null],
  ['bearer', 'bearer', '/bearer', 200, { authenticated: true, token: 'xyz.xyz' }],
  ...['MD5', 'SHA-256', 'SHA-512'].flatMap((algorithm) =>
    ['auth', 'auth-int'].map((qop): [string, string, string, number, Told] => [
      `digest ${algorithm}, ${qop}`,
      'digest',
      `/digest-auth/${qop}/${USER}/${PASSWORD}/${algorithm}`,
      200,
      known,
    ]),
  ),
  ['digest, wrong', 'digest-wrong', `/digest-auth/auth/${USER}/${PASSWORD}`, 401, null],
  ['a header', 'header', '/anything', 200, { 'X-Api-Key': 'abc' }],
  ['a parameter', 'query', '/anything', 200, { api_key: 'abc' }],
]

describe('stored secrets, by httpbin’s judgement', () => {
  let httpbin: Httpbin
  let gateway: TestGateway

  before(async () => {
    httpbin = await startHttpbin()
    const { origin } = httpbin
    gateway = await startGateway({
      adapters: [{ name: 'up', mount: `${origin}/`, egress: { allow: ['127.0.0.0/8'] }, allowPlaintextSecrets: true }],
      secrets: SECRETS.map((secret) => ({ ...secret, origins: [origin], callers: ['*'] })),
    })
  })
  after(async () => {
    httpbin?.stop()
    await gateway?.stop()
  })

  for (const [name, secret, path, status, told] of CASES)
    test(name, async () => {
      const { envelope } = await gateway.call({ url: httpbin.origin + path, auth: { secret } })
      assert.equal(envelope.status, status)
      if (told === null) return
      const { args, headers, ...rest } = envelope.json
      const said = args === undefined ? rest : { ...args, 'X-Api-Key': headers['X-Api-Key'] }
      for (const [key, value] of Object.entries(told)) assert.equal(said[key], value)
      assert.match(JSON.stringify(envelope.request), /\*\*\*/)
    })
})
