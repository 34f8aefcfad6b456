// What docs/admin.md shows is run as it stands, in its order.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ADMIN_ENTRANCES } from '../../src/descriptor/admin-entrances.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter } from '../support/wire.ts'

const DOC = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'admin.md'), 'utf8')
const COMMAND =
  /^curl -s -H "X-Sallyport-Key: \$KEY" "?\$ADMIN(\/[^\s"]+)"?(?: -X (\w+))?(?: --json '(.*)')?(?: -H "Accept: (\S+)")?$/gm
const OPS = 'ops-key-0123456789'

test('every command of docs/admin.md is answered with what was asked', async (t) => {
  const up = await upstreamFor(t)
  up.answer({ headers: [['Set-Cookie', 'a=1']] })
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('sample', up.origin)],
    config: {
      store: { key: `k1:${Buffer.alloc(32, 7).toString('base64')}` },
      callers: [
        { name: 'ops', keys: [OPS], admin: true, may: [] },
        { name: 'billing', keys: ['billing-key-0123456789'], may: [{ adapter: 'sample' }] },
      ],
    },
  })
  await gateway.call({ url: up.origin, session: 'cart' }, { headers: { 'x-sallyport-key': 'billing-key-0123456789' } })
  const commands = [...DOC.matchAll(COMMAND)]
  assert.equal(commands.length, DOC.split('curl -s').length - 1, 'a command was not understood')
  let id = ''
  for (const [command, path = '', given, body, accept = '*/*'] of commands) {
    const method = given ?? (body === undefined ? 'GET' : 'POST')
    const headers = { 'x-sallyport-key': OPS, accept, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const at = `/v1/admin${path.replace('$ID', id)}`
    // A token is visible ASCII.
    const { status, text, envelope } = await gateway.send(method, at, body?.replaceAll('…', `t${id}`) ?? null, { headers })
    assert.equal(status, 200, `${command}: ${text}`)
    if (path.endsWith('/keys')) id = envelope.id
  }
})

test('docs/admin.md has a row for every entrance', () => {
  const table = DOC.split('\n').filter((line) => line.startsWith('| `'))
  for (const { method, path } of Object.values(ADMIN_ENTRANCES)) {
    const entrance = `${method} ${path.replace('/v1/admin', '')}`
    assert.ok(
      table.some((line) => line.includes(`\`${entrance}\``) || line.includes(`\`${entrance}?`)),
      entrance,
    )
  }
})
