import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKeyRing } from '../../../../src/credentials/key-ring.ts'
import { createKeyFollower, type KeysInUse } from '../../../../src/credentials/sources/key-file.ts'
import { parseKeys } from '../../../../src/credentials/sources/key-source.ts'

const OLD = `old:${randomBytes(32).toString('base64')}`
const NEW = `new:${randomBytes(32).toString('base64')}`

function aFile(t: { after(end: () => void): void }, first: string) {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'sealing.key')
  const lines: string[] = []
  /** Replaced as a whole, as editors and Kubernetes do. */
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  write(first)
  const ring = createKeyRing(parseKeys(first, 'first'))
  const log = {
    log: (level: string, event: string, fields = {}) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`),
  }
  const follower = createKeyFollower(file, ring, log)
  const follow = (inUse: KeysInUse = new Map()): Promise<boolean> => follower.follow(async () => inUse)
  return { file, write, ring, lines, follow, followNow: follower.followNow }
}

test('a key is added, activated and taken out while the gateway runs; what did not change is not told', async (t) => {
  const { write, ring, lines, follow } = aFile(t, OLD)
  assert.equal(await follow(), false)
  assert.equal(await follow(), false)
  assert.equal(lines.length, 0)
  write(`${OLD}\n${NEW}`)
  assert.equal(await follow(), true)
  assert.deepEqual([ring.active.id, ring.ids], ['old', ['old', 'new']])
  write(`${NEW}\n${OLD}`)
  assert.equal(await follow(), true)
  assert.equal(ring.active.id, 'new')
  write(NEW)
  assert.equal(await follow(), true)
  assert.deepEqual(ring.ids, ['new'])
  assert.ok(lines.every((line) => line.startsWith('info sealing keys changed')))
})

test('a key in use is not let go: refused once, naming what is under it, and taken when nothing is any more', async (t) => {
  const { write, ring, lines, follow } = aFile(t, `${NEW}\n${OLD}`)
  write(NEW)
  const inUse = new Map([['old', Array.from({ length: 25 }, (_, i) => `secret-${i}`)]])
  for (let rounds = 0; rounds < 5; rounds++) assert.equal(await follow(inUse), false)
  assert.deepEqual(ring.ids, ['new', 'old'])
  assert.equal(lines.length, 1)
  assert.match(
    lines[0] ?? '',
    /^error sealing keys refused.*no longer holds key \\"old\\".*secret-0, .*secret-19 and 5 more.*rekey/,
  )
  assert.equal(await follow(new Map([['new', ['a']]])), true)
  assert.deepEqual(ring.ids, ['new'])
})

test('another key under an id in use is no less a loss', async (t) => {
  const { write, ring, follow } = aFile(t, OLD)
  const before = ring.active
  write(`old:${randomBytes(32).toString('base64')}`)
  assert.equal(await follow(new Map([['old', ['a']]])), false)
  assert.equal(ring.active, before)
})

test('while it is not known what is in use, no key goes', async (t) => {
  const { write, ring, lines, follow } = aFile(t, `${NEW}\n${OLD}`)
  write(NEW)
  assert.equal(await follow(null), false)
  assert.deepEqual(ring.ids, ['new', 'old'])
  assert.match(lines[0] ?? '', /cannot be left out while the secret store is away/)
})

const BROKEN: [name: string, text: string, because: RegExp][] = [
  ['empty', '', /holds no key/],
  ['half written', NEW.slice(0, 20), /needs 32/],
  ['with two keys of one name', `${NEW}\n${NEW}`, /two keys called/],
]
for (const [name, text, because] of BROKEN)
  test(`a file that is ${name} leaves the keys as they are, and is told once`, async (t) => {
    const { write, ring, lines, follow } = aFile(t, OLD)
    write(text)
    for (let rounds = 0; rounds < 3; rounds++) assert.equal(await follow(), false)
    assert.deepEqual(ring.ids, ['old'])
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', because)
    assert.ok(!lines[0]?.includes(NEW.slice(4, 14)))
    write(`${OLD}\n${NEW}`)
    assert.equal(await follow(), true)
  })

test('a file that is gone leaves the keys as they are', async (t) => {
  const { file, ring, lines, follow } = aFile(t, OLD)
  rmSync(file)
  assert.equal(await follow(), false)
  assert.deepEqual(ring.ids, ['old'])
  assert.equal(lines.length, 1)
  writeFileSync(file, OLD)
})

test('at once only what is added is taken; what goes waits for the round that knows what is in use', async (t) => {
  const { write, ring, followNow } = aFile(t, OLD)
  write(NEW)
  assert.equal(followNow(), false)
  assert.deepEqual(ring.ids, ['old'])
  write(`${NEW}\n${OLD}`)
  assert.equal(followNow(), true)
  assert.equal(ring.active.id, 'new')
})
