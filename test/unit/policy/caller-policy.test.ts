import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller, Grant } from '../../../src/model/caller.ts'
import { judgeCaller } from '../../../src/policy/caller-policy.ts'

const grant = (over: Partial<Grant> = {}): Grant => ({ adapter: 'github', methods: null, paths: null, ...over })
const caller = (may: readonly Grant[] | null): Caller => ({ name: 'billing', admin: false, may })
const ASK = { adapter: 'github', method: 'GET', path: '/repos/a', secrets: [] as readonly string[] }

const CASES: readonly [
  name: string,
  may: readonly Grant[] | null,
  secrets: readonly string[],
  allowed: boolean,
  because: RegExp,
][] = [
  ['a caller without limits may do all', null, ['any'], true, /no limits/],
  [
    'an empty list allows nothing',
    [],
    [],
    false,
    /^caller "billing" may not use adapter "github" at all: no grant of its names it$/,
  ],
  ['a grant for another adapter is none', [grant({ adapter: 'stripe' })], [], false, /at all/],
  ['a grant without lists covers everything', [grant()], ['any'], true, /a grant/],
  [
    'the method must be listed',
    [grant({ methods: ['POST', 'PUT'] })],
    [],
    false,
    /with GET: its grant may\[0\] takes POST, PUT$/,
  ],
  [
    'the path must be listed',
    [grant({ methods: ['GET'], paths: ['/orgs/**'] })],
    [],
    false,
    /on this path: .* its grant may\[0\]$/,
  ],
  [
    'method and path must stand in one grant, and the nearest is named',
    [grant({ adapter: 'stripe' }), grant({ methods: ['POST'] }), grant({ paths: ['/orgs/**'] }), grant({ methods: ['PUT'] })],
    [],
    false,
    /on this path: .* its grant may\[2\]$/,
  ],
  ['any of several grants will do', [grant({ methods: ['POST'] }), grant({ paths: ['/repos/*'] })], [], true, /a grant/],
  [
    'a secret that is named must be listed',
    [grant({ secrets: ['a', 'b'] })],
    ['a', 'c'],
    false,
    /with secret "c": its grant may\[0\] lists a, b$/,
  ],
  [
    'an empty list of secrets lets none be named',
    [grant({ secrets: [] })],
    ['a'],
    false,
    /with secret "a": its grant may\[0\] lists none$/,
  ],
  ['a call that names none needs none', [grant({ secrets: [] })], [], true, /a grant/],
  [
    'path and secret must stand in one grant',
    [grant({ paths: ['/repos/**'], secrets: [] }), grant({ secrets: ['a'], paths: ['/x'] })],
    ['a'],
    false,
    /with secret "a": its grant may\[0\]/,
  ],
  ['secrets that are all listed', [grant({ secrets: ['a', 'b'] })], ['b', 'a'], true, /a grant/],
]

for (const [name, may, secrets, allowed, because] of CASES) {
  test(`caller policy: ${name}`, () => {
    const verdict = judgeCaller(caller(may), { ...ASK, secrets })
    assert.equal(verdict.allowed, allowed)
    assert.match(verdict.because, because)
  })
}

test('being an admin grants no upstream by itself', () => {
  assert.equal(judgeCaller({ name: 'root', admin: true, may: [] }, ASK).allowed, false)
})
