import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Readiness } from '../../../src/server/probes.ts'
import { aFace, CALLERS, head } from './face.ts'

describe('probes', () => {
  test('healthz answers anyone', async (t) => {
    const { url } = await aFace(t, { ports: { callers: () => CALLERS } })
    const answer = await fetch(`${url}/healthz`, { headers: { 'x-request-id': 'probe-1' } })
    assert.deepEqual([answer.status, await answer.json(), answer.headers.get('x-request-id')], [200, { ok: true }, 'probe-1'])
    assert.equal(answer.headers.get('x-powered-by'), null)
    const bodiless = await fetch(`${url}/healthz`, { method: 'HEAD' })
    assert.deepEqual([bodiless.status, await bodiless.text()], [200, ''])
  })

  for (const [readiness, status] of [
    [{ ready: true, degraded: [] }, 200],
    [{ ready: true, degraded: ['redis'] }, 200],
    [{ ready: false, degraded: ['redis'], because: 'no configuration yet' }, 503],
  ] as [Readiness, number][])
    test(`readyz: ${JSON.stringify(readiness)} is ${status}`, async (t) => {
      const { url } = await aFace(t, { ports: { readiness: () => readiness } })
      const answer = await fetch(`${url}/readyz`)
      assert.deepEqual([answer.status, await answer.json()], [status, readiness])
    })
})

describe('metrics', () => {
  test('a caller with admin rights gets them', async (t) => {
    const { url } = await aFace(t, { ports: { callers: () => CALLERS } })
    for (const headers of [{ 'x-sallyport-key': 'ops-key' }, { authorization: 'Bearer ops-key' }]) {
      const answer = await fetch(`${url}/metrics`, { headers })
      assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4')
      assert.equal(await answer.text(), 'sallyport_up 1\n')
    }
  })

  test('metrics.public opens them to anyone', async (t) => {
    const { url } = await aFace(t, { ports: { callers: () => CALLERS }, options: { metrics: { public: true } } })
    assert.equal((await fetch(`${url}/metrics`)).status, 200)
  })

  test('metrics.listen serves them and the probes alone, to anyone, on its own port', async (t) => {
    const { metrics, port } = await aFace(t, {
      ports: { callers: () => CALLERS },
      options: { metrics: { listen: { host: '127.0.0.1', port: 0 } } },
    })
    assert.notEqual(metrics?.port, port)
    const get = (path: string) => fetch(`http://127.0.0.1:${metrics?.port}${path}`)
    assert.equal(await (await get('/metrics')).text(), 'sallyport_up 1\n')
    assert.equal(await (await get('/healthz')).text(), '{"ok":true}')
    const ready = await get('/readyz')
    assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, degraded: [] }])
    for (const path of ['/', '/v1/admin/config', '/openapi.json']) assert.equal((await get(path)).status, 404)
  })

  test('a scrape that fails is an answer, without detail', async (t) => {
    const { url } = await aFace(t, { ports: { scrape: () => Promise.reject(new Error('canary')) } })
    const answer = await fetch(`${url}/metrics`)
    assert.equal(answer.status, 500)
    assert.doesNotMatch(await answer.text(), /canary/)
  })
})

describe('documentation', () => {
  test('the description of the API is served to anyone', async (t) => {
    const { url } = await aFace(t, { ports: { callers: () => CALLERS } })
    const answer = await fetch(`${url}/openapi.json`)
    assert.deepEqual([answer.headers.get('content-type'), await answer.json()], ['application/json', { openapi: '3.1.0' }])
  })

  test('everything that the page at /docs loads comes from here, and its policy allows nothing else', async (t) => {
    const { url } = await aFace(t)
    const page = await fetch(`${url}/docs`)
    const html = await page.text()
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self';/)
    assert.doesNotMatch(page.headers.get('content-security-policy') ?? '', /unsafe|\*|https?:/)
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(page.headers.get('x-frame-options'), 'DENY')
    assert.doesNotMatch(html, /https?:\/\/|<script>|\son\w+=/)
    const loaded = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1] ?? '')
    assert.ok(loaded.length >= 3)
    for (const path of loaded) {
      const asset = await fetch(url + path)
      assert.equal(asset.status, 200, path)
      assert.match(asset.headers.get('content-type') ?? '', path.endsWith('.css') ? /^text\/css/ : /javascript/)
      assert.ok((await asset.text()).length > 100)
      assert.ok(asset.headers.get('x-request-id'))
    }
  })

  test('an asset that is already known is not sent again', async (t) => {
    const { url, raw } = await aFace(t)
    const first = await fetch(`${url}/docs/swagger-ui.css`)
    await first.text()
    const fields = [`If-None-Match: ${first.headers.get('etag')}`, 'Connection: close']
    assert.match(await raw(head('GET /docs/swagger-ui.css HTTP/1.1', ...fields)).ended, /^HTTP\/1\.1 304 /)
  })

  for (const path of ['/docs/index.html', '/docs/../package.json', '/docs/%2e%2e/package.json', '/docs/swagger-ui.js', '/docs/'])
    test(`${path} is not served`, async (t) => {
      const { url } = await aFace(t)
      assert.equal((await fetch(url + path)).status, 404)
    })
})
