import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type EgressAsk, findDisguise, judgeEgress } from '../../../src/policy/egress-rule.ts'
import { anAdapter, aUrl } from '../../support/builders.ts'

const EGRESS = { allow: [], allowMetadata: [], ports: null, mixedAnswers: 'refuse' as const }

function ask(over: Partial<EgressAsk> = {}): EgressAsk {
  return {
    adapter: anAdapter(),
    caller: { name: 'billing', admin: false, may: null },
    method: 'GET',
    url: aUrl('https://api.example.com/v1/a'),
    secrets: [],
    ...over,
  }
}

const REFUSALS: readonly [name: string, over: Partial<EgressAsk>, type: string, because: RegExp][] = [
  [
    'a method that the adapter does not list',
    { adapter: anAdapter({ methods: ['POST'] }) },
    'Forbidden',
    /GET; its methods are POST/,
  ],
  [
    'a port that the adapter does not list',
    { adapter: anAdapter({ egress: { ...EGRESS, ports: [443] } }), url: aUrl('https://api.example.com:8443/') },
    'EgressDenied',
    /port 8443 .*egress\.ports/,
  ],
  [
    'a path that the adapter does not list',
    { adapter: anAdapter({ paths: ['/v2/**'] }) },
    'Forbidden',
    /paths of adapter "example"/,
  ],
  [
    'what the caller has no grant for',
    { caller: { name: 'billing', admin: false, may: [] } },
    'Forbidden',
    /caller "billing" may not use adapter "example"/,
  ],
  [
    'an encoded slash under a mount with a path',
    { adapter: anAdapter({ mount: 'https://api.example.com/v1' }), url: aUrl('https://api.example.com/v1/..%2Fadmin') },
    'Forbidden',
    /"%2f" in the path/,
  ],
  [
    'an encoded backslash where the adapter has paths',
    { adapter: anAdapter({ paths: ['/v1/**'] }), url: aUrl('https://api.example.com/v1/a%5cb') },
    'Forbidden',
    /"%5c"/,
  ],
  [
    "doubly encoded dots where the caller's grant has paths",
    {
      caller: { name: 'billing', admin: false, may: [{ adapter: 'example', methods: null, paths: ['/v1/**'] }] },
      url: aUrl('https://api.example.com/v1/%252e%252E/admin'),
    },
    'Forbidden',
    /doubly encoded dot/,
  ],
]

for (const [name, over, type, because] of REFUSALS) {
  test(`egress refuses ${name}`, () => {
    const verdict = judgeEgress(ask(over))
    assert.ok(!verdict.allowed)
    assert.equal(verdict.type, type)
    assert.match(verdict.because, because)
  })
}

test('where no rule stands on the path, an encoded slash goes out as it is', () => {
  assert.equal(judgeEgress(ask({ url: aUrl('https://api.example.com/a%2Fb') })).allowed, true)
})

test('a mount on a catch-all or a bare host has no path', () => {
  for (const mount of ['https://', 'https://api.example.com', 'https://api.example.com/']) {
    assert.equal(judgeEgress(ask({ adapter: anAdapter({ mount }), url: aUrl('https://api.example.com/a%2Fb') })).allowed, true)
  }
})

test('a grant with paths for another adapter puts no rule on this path', () => {
  const may = [
    { adapter: 'example', methods: null, paths: null },
    { adapter: 'other', methods: null, paths: ['/x'] },
  ]
  const url = aUrl('https://api.example.com/a%2Fb')
  assert.equal(judgeEgress(ask({ caller: { name: 'b', admin: false, may }, url })).allowed, true)
})

test('what is allowed says so', () => {
  const verdict = judgeEgress(ask({ adapter: anAdapter({ methods: ['GET'], paths: ['/v1/*'] }) }))
  assert.deepEqual(verdict, { allowed: true, because: 'no rule refuses it', observed: null })
})

const DISGUISES: readonly [path: string, found: string | null][] = [
  ['/a/b', null],
  ['/a%20b', null],
  ['/100%25', null],
  ['/a%252Fb', null],
  ['/a%2e', null],
  ['/a\\b', '"\\"'],
  ['/a%2F', '"%2f"'],
  ['/a%5C', '"%5c"'],
  ['/%25%32%65', 'a doubly encoded dot'],
  ['/%2525', null],
  [`/%${'25'.repeat(9)}`, 'an encoding many layers deep'],
  ['/%252e', 'a doubly encoded dot'],
  ['/%2525252E', 'a doubly encoded dot'],
  ['/a/..%252fb', 'a hidden dot segment'],
  ['/a%252f..', 'a hidden dot segment'],
  ['/a/.%25255cb', 'a hidden dot segment'],
  ['/a/..;/b', 'a hidden dot segment'],
  ['/a/..;x=1%20/b', 'a hidden dot segment'],
  ['/a/...;/b', null],
  ['/a/..b;/c', null],
  ['/a;x/b..', null],
  ['/a/%C0%AE%c0%ae/b', 'a dot or slash in more bytes than it has'],
  ['/a/%C3%A9', null],
]

for (const [path, found] of DISGUISES) {
  test(`in ${path} ${found ?? 'nothing'} is found`, () => assert.equal(findDisguise(path), found))
}

test('a disguise anywhere in a path is found', () => {
  const plain = fc.array(fc.constantFrom('/', 'a', '.', '%20', '%25', '2', '5'), { maxLength: 10 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(plain, fc.constantFrom('%2f', '%2F', '%5c', '\\', '%252e', '%25252E'), plain, (before, disguise, after) => {
      assert.notEqual(findDisguise(`/${before}/${disguise}/${after}`), null)
    }),
  )
})

test('a caller that is observed is let through by its own rules, with what would refuse it; never by those of the adapter', () => {
  const observed = {
    name: 'billing',
    admin: false,
    observe: true,
    may: [{ adapter: 'example', methods: null, paths: ['/v2/**'] }],
  }
  const verdict = judgeEgress(ask({ caller: observed }))
  assert.ok(verdict.allowed)
  assert.equal(verdict.observed, 'caller-grant')
  assert.match(verdict.because, /on this path: it is not among those of its grant may\[0\]/)
  const disguised = judgeEgress(ask({ caller: observed, url: aUrl('https://api.example.com/v2/%2fa') }))
  assert.equal(disguised.allowed && disguised.observed, 'path-disguise')
  const good = judgeEgress(ask({ caller: observed, url: aUrl('https://api.example.com/v2/a') }))
  assert.equal(good.allowed && good.observed, null)
  for (const over of [
    { adapter: anAdapter({ methods: ['POST'] }) },
    { adapter: anAdapter({ paths: ['/v2/**'] }) },
    { adapter: anAdapter({ egress: { ...EGRESS, ports: [8443] } }) },
    { adapter: anAdapter({ mount: 'https://api.example.com/v1/' }), url: aUrl('https://api.example.com/v1/%2fa') },
  ])
    assert.equal(judgeEgress(ask({ caller: observed, ...over })).allowed, false)
})
