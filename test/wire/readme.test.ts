// What the README promises a newcomer, with its own words: its calls against the real sample upstream, its configuration read.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import { type Reply, startGateway, type TestGateway } from '../support/gateway.ts'
import { makeFolder } from '../support/wire.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

describe('the README', () => {
  let sample: ChildProcess
  let origin: string
  let gateway: TestGateway

  before(async () => {
    sample = fork(join(ROOT, 'src', 'sample', 'upstream.ts'), {
      env: { ...process.env, SALLYPORT_SAMPLE_PORT: '0', SAMPLE_TOKEN: CANARY_TOKEN },
    })
    const [{ listening }] = (await once(sample, 'message')) as [{ listening: number }]
    origin = `http://127.0.0.1:${listening}`
    // The sample's own configuration, on the port that was free.
    const { config } = await loadConfig({ file: null, env: { SALLYPORT_SAMPLE_PORT: String(listening) } })
    gateway = await startGateway({
      adapters: config.adapters.map(({ name, mount, credentials }) => ({
        name,
        mount,
        egress: { allow: ['127.0.0.0/8'] },
        retry: { total: 3, backoffFactor: '5ms' },
        ...(credentials ? { credentials, allowPlaintextSecrets: true } : {}),
      })),
      secrets: [{ name: 'sample-token', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [origin], callers: ['*'] }],
    })
  })

  after(async () => {
    await gateway?.stop()
    sample?.kill()
  })

  const CALLS = [...README.matchAll(/^curl -s http:\/\/127\.0\.0\.1:8080(\S+) .*-d '(.*)'$/gm)]
  const answer = (index: number): Promise<Reply> => {
    const [, path = '', body = ''] = CALLS[index] ?? []
    return gateway.post(path, body.replaceAll('http://127.0.0.1:8081', origin))
  }

  it('shows a plain call first', async () => {
    const { envelope } = await answer(0)
    assert.deepEqual([envelope.ok, envelope.json.target], [true, '/echo?q=hello'])
  })

  it('then a call that two retries saved', async () => {
    const { envelope } = await answer(1)
    assert.deepEqual([envelope.ok, envelope.json.well], [true, true])
    assert.deepEqual(
      envelope.attempts.map((attempt: { status: number }) => attempt.status),
      [503, 503, 200],
    )
  })

  it('then an injected credential that the caller never sees', async () => {
    const { envelope } = await answer(2)
    assert.deepEqual(envelope.json, { tokenWasRight: true })
    assert.equal(envelope.request.headers.Authorization, 'Bearer ***')
  })

  it('then a call explained and not sent', async () => {
    const { envelope } = await answer(3)
    assert.deepEqual([envelope.plan.credential, envelope.plan.refusedBy], ['sample-token', null])
    assert.equal(CALLS.length, 4)
  })

  it('has a configuration that is right as it stands', async (t) => {
    const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(README) ?? []
    const folder = makeFolder({
      'sallyport.yaml': yaml.replace('/run/secrets/sallyport.key', 'sallyport.key'),
      'sallyport.key': 'k',
    })
    t.after(() => folder.remove())
    const env = { REDIS_URL: 'redis://127.0.0.1:6379', BILLING_KEY: 'a-key-of-the-billing-service' }
    const { config, warnings } = await loadConfig({ file: folder.path('sallyport.yaml'), env })
    assert.deepEqual(warnings, [])
    assert.deepEqual([config.adapters[0]?.name, config.callers[0]?.caller.name], ['github', 'billing'])
  })
})
