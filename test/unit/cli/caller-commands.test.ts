import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAdministration } from '../../../src/callers/identities.ts'
import type { CliPorts } from '../../../src/cli/ports.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { createMemoryValues } from '../../support/memory-values.ts'
import { type Ran, runWords } from './shell.ts'

function aShell({ sealed = true }: { readonly sealed?: boolean } = {}) {
  const clock = createFakeClock()
  let closed = 0
  const callers = openAdministration({
    ...{ store: createMemoryValues(), sealer: sealed ? createEphemeralTextSealer() : null, clock, log: { log: () => {} } },
    configured: () => [
      { name: 'billing', admin: false, keyHashes: ['ab'.repeat(32)], jwt: false, certificates: 0 },
      { name: 'cluster', admin: false, keyHashes: [], jwt: true, certificates: 2 },
    ],
  })
  const acts: unknown[][] = []
  const openStores: CliPorts['openStores'] = async () => ({
    ...{ secrets: null, callers, who: 'ann', close: () => void closed++ },
    act(act, subject, work, detail) {
      acts.push([act, subject, detail])
      return work()
    },
  })
  return { acts, run: (line: string): Promise<Ran> => runWords(line.split(' '), { openStores }), closed: () => closed, clock }
}

test('create shows the key once, alone on standard output', async () => {
  const { run, closed } = aShell()
  const { code, out, err } = await run('callers create billing')
  assert.equal(code, 0, err)
  assert.match(out, /^sp_\w{10}_\w{49}\n$/)
  const id = out.slice(3, 13)
  assert.match(err, new RegExp(`key ${id} of billing, shown this once`))
  assert.ok(!err.includes(out.trim()))
  const listed = await run('callers list')
  assert.ok(listed.out.includes(id) && !listed.out.includes(out.trim()))
  assert.equal(closed(), 2)
})

test('list is a table for a person, and JSON for a script', async () => {
  const { run } = aShell()
  const { id } = JSON.parse((await run('callers create cluster --json --expires 2026-03-01T10:00:00+01:00')).out)
  const { out } = await run('callers list')
  const [head, ...lines] = out.trimEnd().split('\n')
  assert.match(head ?? '', /^caller +key +state +created +by +last used +expires$/)
  assert.match(lines[0] ?? '', /^billing +sha256:abababababab +active +in the file +never seen +never$/)
  assert.match(lines[1] ?? '', new RegExp(`^cluster +${id} +active +2026-01-01T00:00Z +ann +never seen +2026-03-01T09:00Z$`))
  const json = JSON.parse((await run('callers list --json')).out)
  assert.deepEqual(json[1].keys[0].expiresAt, '2026-03-01T09:00:00.000Z')
  assert.deepEqual([json[1].jwt, json[1].certificates, json[0].keys[0].source], [true, 2, 'config'])
})

test('a caller without keys is listed by its other ways in', async () => {
  const { run } = aShell()
  assert.match((await run('callers list')).out, /cluster +- +by tokens, certificates/)
})

test('revoke ends a key', async () => {
  const { run, acts } = aShell()
  const { id } = JSON.parse((await run('callers create cluster --json')).out)
  assert.deepEqual(await run(`callers revoke ${id}`).then(({ code, out }) => [code, out]), [0, `revoked ${id} of cluster\n`])
  assert.equal(JSON.parse((await run(`callers revoke ${id} --json`)).out).state, 'revoked')
  assert.match((await run('callers list')).out, new RegExp(`${id} +revoked`))
  const [created, revoked] = acts
  assert.deepEqual(
    [created, revoked],
    [
      ['caller-key.create', 'cluster', { expires: null }],
      ['caller-key.revoke', id, undefined],
    ],
  )
})

for (const [name, line, code, message] of [
  ['a caller that is not configured', 'callers create nobody', 1, /No caller "nobody" is configured.*known: billing, cluster/],
  ['a key that is not stored', 'callers revoke abc', 1, /no stored key abc/],
  ['an end that is no instant', 'callers create billing --expires soon', 2, /--expires is an instant such as 2027-01-31/],
  ['a bare number, which could be anything', 'callers create billing --expires 30', 2, /--expires is an instant/],
  ['an end in the past', 'callers create billing --expires 2020-01-01', 1, /lies in the past/],
] as const)
  test(`refused: ${name}`, async () => {
    const ran = await aShell().run(line)
    assert.deepEqual([ran.code, ran.out], [code, ''])
    assert.match(ran.err, message)
  })

test('without a sealing key it says how to get one', async () => {
  const { code, err } = await aShell({ sealed: false }).run('callers create billing')
  assert.equal(code, 1)
  assert.match(err, /no sealing key.*sallyport keys generate.*store\.keyFile/)
})
