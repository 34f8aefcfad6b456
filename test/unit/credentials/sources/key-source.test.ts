import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readKeys } from '../../../../src/credentials/sources/key-source.ts'

const ONE = Buffer.alloc(32, 1).toString('base64')
const TWO = Buffer.alloc(32, 2).toString('base64')
const fromVariable = (text: string | undefined): ReturnType<typeof readKeys> =>
  readKeys({ variable: 'THE_KEY', env: { THE_KEY: text } })

test('the first key is active, comments and empty lines are none', () => {
  const { keys, active } = fromVariable(`# ours\n\nnew:${ONE} # since May\r\nold:${TWO}\n`)
  assert.equal(active, 'new')
  assert.deepEqual(keys, [
    { id: 'new', key: Buffer.alloc(32, 1) },
    { id: 'old', key: Buffer.alloc(32, 2) },
  ])
})

test('in a variable, spaces stand for line ends', () => assert.equal(fromVariable(`a:${ONE} b:${TWO}`).keys.length, 2))

test('a file is read; one that is not there is named', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
  writeFileSync(join(dir, 'key'), `a:${ONE}\n`)
  assert.equal(readKeys({ file: join(dir, 'key') }).active, 'a')
  assert.throws(() => readKeys({ file: join(dir, 'none') }), /cannot read the key file .*none \(ENOENT\)/)
  rmSync(dir, { recursive: true })
})

describe('what is refused, naming the place and never the key', () => {
  const CASES: [name: string, text: string | undefined, message: RegExp][] = [
    ['nothing', undefined, /THE_KEY holds no key/],
    ['comments only', '# later', /holds no key/],
    ['no id', TWO, /THE_KEY, key 1: write it as id:base64/],
    ['an odd id', `a b/c:${TWO}`, /key 1: write it as id:base64/],
    ['too short', `a:${ONE}\nb:${Buffer.alloc(31, 2).toString('base64')}`, /key 2 \("b"\): 31 bytes; it needs 32/],
    ['two of one id', `a:${ONE}\na:${TWO}`, /two keys called "a"/],
  ]
  for (const [name, text, message] of CASES)
    test(name, () =>
      assert.throws(
        () => fromVariable(text),
        (error) => error instanceof Error && message.test(error.message) && !error.message.includes(TWO.slice(0, 10)),
      ),
    )
})
