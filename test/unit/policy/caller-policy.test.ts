import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller, Grant } from '../../../src/model/caller.ts'
import { judgeCaller } from '../../../src/policy/caller-policy.ts'

const grant = (over: Partial<Grant> = {}): Grant => ({ adapter: 'github', methods: null, paths: null, ...over })
const caller = (may: readonly Grant[] | null): Caller => ({ name: 'billing', admin: false, may })
const ASK = { adapter: 'github', method: 'GET', path: '/repos/a' }

const CASES: readonly [name: string, may: readonly Grant[] | null, allowed: boolean, because: RegExp][] = [
  ['a caller without limits may do all', null, true, /no limits/],
  ['an empty list allows nothing', [], false, /"billing" may not use adapter "github" at all/],
  ['a grant for another adapter is none', [grant({ adapter: 'stripe' })], false, /at all/],
  ['a grant without lists covers everything', [grant()], true, /a grant/],
  ['the method must be listed', [grant({ methods: ['POST'] })], false, /with GET/],
  ['the path must be listed', [grant({ methods: ['GET'], paths: ['/orgs/**'] })], false, /on this path/],
  [
    'method and path must stand in one grant',
    [grant({ methods: ['POST'] }), grant({ paths: ['/orgs/**'] })],
    false,
    /on this path/,
  ],
  ['any of several grants will do', [grant({ methods: ['POST'] }), grant({ paths: ['/repos/*'] })], true, /a grant/],
]

for (const [name, may, allowed, because] of CASES) {
  test(`caller policy: ${name}`, () => {
    const verdict = judgeCaller(caller(may), ASK)
    assert.equal(verdict.allowed, allowed)
    assert.match(verdict.because, because)
  })
}

test('being an admin grants no upstream by itself', () => {
  assert.equal(judgeCaller({ name: 'root', admin: true, may: [] }, ASK).allowed, false)
})
