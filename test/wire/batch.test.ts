// POST /v1/batch: many calls side by side, each admitted and counted alone, in order or each as it ends.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { gatewayFor, setScene } from '../support/scene.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

test('envelopes come in order, each with its own outcome', async (t) => {
  const { up, gateway, at } = await setScene(t, { adapter: { methods: ['GET'] } })
  up.answer(({ target }) => (target === '/404' ? { status: 404, body: 'x' } : { body: target }))
  const requests = [
    { url: at('/0') },
    { url: at('/404') },
    { url: at('/2'), method: 'POST' },
    { nope: 1 },
    7,
    { url: 'https://else.example/' },
  ]
  const { status, envelope, headers } = await gateway.post('/v1/batch', JSON.stringify({ requests }), {
    headers: { 'x-request-id': 'mine' },
  })
  assert.deepEqual([status, headers['x-request-id'], Object.keys(envelope)], [200, 'mine', ['responses']])
  assert.deepEqual(
    envelope.responses.map((item: { status: number; error: { type: string } | null; requestId: string }) => [
      ...[item.status, item.error?.type ?? null, item.requestId],
    ]),
    [
      [200, null, 'mine-0'],
      [404, null, 'mine-1'],
      [null, 'Forbidden', 'mine-2'],
      [null, 'InvalidDescriptor', 'mine-3'],
      [null, 'InvalidDescriptor', 'mine-4'],
      [null, 'EgressDenied', 'mine-5'],
    ],
  )
  const audited = gateway.audit().filter(({ kind }) => kind === 'result')
  assert.deepEqual(audited.map(({ id }) => id).sort(), ['mine-0', 'mine-1', 'mine-2', 'mine-3', 'mine-4', 'mine-5'])
  assert.equal(metric(await gateway.metrics(), 'sallyport_calls_total', { entrance: 'batch' }), 6)
})

test('an item is sent as its own text stands', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const item = `{ "url":"${at('/p')}","method":"POST", "json": {"a":9007199254740993, "a":1.0} }`
  const { envelope } = await gateway.post(
    '/v1/batch',
    `{"concurrency":1,"requests":[ ${item} ,\n{"url":"${at('/q')}","url":"x"}]}`,
  )
  assert.equal(up.last().body.toString(), '{"a":9007199254740993, "a":1.0}')
  assert.equal(envelope.responses[1].error.detail[0].pointer, '/url')
  assert.equal((await gateway.post('/v1/batch', '{"requests":[]}')).text, '{"responses":[]}')
})

test('a batch that is malformed is refused whole, and nothing is sent', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const one = JSON.stringify({ url: at('/p') })
  const table: readonly (readonly [name: string, body: string, type?: string])[] = [
    ['no JSON', '{"requests":['],
    ['a list', `[${one}]`],
    ['no requests', '{"concurrency":1}'],
    ['requests that are no list', `{"requests":${one}}`],
    ['an unknown key', `{"requests":[${one}],"parallel":2}`],
    ['a repeated key', `{"requests":[${one}],"requests":[]}`],
    ['concurrency 0', `{"requests":[${one}],"concurrency":0}`],
    ['concurrency 65', `{"requests":[${one}],"concurrency":65}`],
    ['concurrency 1.5', `{"requests":[${one}],"concurrency":1.5}`],
    ['1,001 items', `{"requests":[${Array.from({ length: 1001 }, () => one)}]}`],
    ['NaN', `{"requests":[{"url":"${at('/p')}","json":NaN}]}`, 'InvalidJSONError'],
  ]
  for (const [name, body, type = 'InvalidDescriptor'] of table) {
    await t.test(name, async () => {
      const { status, envelope } = await gateway.post('/v1/batch', body)
      assert.deepEqual([status, envelope.error.type], [400, type])
    })
  }
  assert.equal(up.accepted(), 0)
})

test('1,000 items are taken, and so is 64 at once', async (t) => {
  const { gateway, up, at } = await setScene(t, { adapter: { pool: { connections: 64 } } })
  const requests = Array.from({ length: 1000 }, (_, index) => ({ url: at(`/${index}`), decode: 'none' }))
  up.answer({})
  const { envelope } = await gateway.post('/v1/batch', JSON.stringify({ requests, concurrency: 64 }))
  assert.equal(envelope.responses.length, 1000)
  assert.ok(envelope.responses.every(({ url }: { url: string }, index: number) => url === at(`/${index}`)))
})

/** Answers `/N` only when told to, and knows how many wait. */
async function holding() {
  const waiting = new Map<string, () => void>()
  let most = 0
  const up = await createRudeUpstream({
    always: 'hold',
    behaviours: {
      hold: (socket, { target }) => {
        waiting.set(target, () => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx'))
        most = Math.max(most, waiting.size)
      },
    },
  })
  const release = (target: string): void => {
    const answer = waiting.get(target)
    assert.ok(answer, `${target} is under way`)
    waiting.delete(target)
    answer()
  }
  return { up, waiting, release, most: () => most }
}

test('no more than `concurrency` are under way, 8 unless said', async (t) => {
  const { up, waiting, release, most } = await holding()
  t.after(() => up.close())
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)] })
  for (const [concurrency, expected] of [
    [undefined, 8],
    [3, 3],
  ] as const) {
    const requests = Array.from({ length: 12 }, (_, index) => ({ url: `${up.origin}/${index}` }))
    const reply = gateway.post('/v1/batch', JSON.stringify({ requests, concurrency }))
    for (let done = 0; done < 12; done++) {
      const expectedNow = Math.min(expected, 12 - done)
      await until(`${expectedNow} are under way`, () => waiting.size === expectedNow)
      release([...waiting.keys()][0] ?? '')
    }
    assert.equal((await reply).envelope.responses.length, 12)
  }
  assert.equal(most(), 8)
})

test('as NDJSON each line is written as its call ends', async (t) => {
  const { up, waiting, release } = await holding()
  t.after(() => up.close())
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)] })
  const requests = [0, 1, 2].map((index) => ({ url: `${up.origin}/${index}` }))
  const headers = { 'content-type': 'application/json', accept: 'application/json;q=0.5, Application/X-NDJSON' }
  let text = ''
  const ended = new Promise<string | undefined>((resolve, reject) => {
    request({ port: gateway.port, host: '127.0.0.1', path: '/v1/batch', method: 'POST', headers }, (response) => {
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(response.headers['content-type']))
    })
      .on('error', reject)
      .end(JSON.stringify({ requests }))
  })
  await until('all are under way', () => waiting.size === 3)
  for (const [count, index] of [2, 0, 1].entries()) {
    release(`/${index}`)
    await until(`line ${count}`, () => text.split('\n').length === count + 2)
    const { index: told, response } = JSON.parse(text.trim().split('\n').at(-1) ?? '')
    assert.deepEqual([told, response.url], [index, `${up.origin}/${index}`])
  }
  assert.equal(await ended, 'application/x-ndjson')
})

test('a line of NDJSON stays one line, whatever the upstream wrote', async (t) => {
  const { up, gateway, at } = await setScene(t)
  up.answer({ headers: [['Content-Type', 'application/json']], body: '{\r\n "a" :\n "b\\n"\n}\n' })
  const { text } = await gateway.post('/v1/batch', JSON.stringify({ requests: [{ url: at('/p') }, { url: at('/p') }] }), {
    headers: { accept: 'application/x-ndjson' },
  })
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ response }) => response.json),
    [{ a: 'b\n' }, { a: 'b\n' }],
  )
})
