import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createRoutes } from '../../../src/adapters/routes.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { Routes } from '../../../src/model/ports.ts'
import { prepareUrl } from '../../../src/prepare/url.ts'
import { anAdapter, aUrl, CEILINGS } from '../../support/builders.ts'

/** Adapters named for their mounts. */
const mounted = (...mounts: string[]): AdapterPolicy[] => mounts.map((mount) => anAdapter({ name: mount, mount }))

const routesOf = (...mounts: string[]): Routes => createRoutes(mounted(...mounts), CEILINGS, new Set())

const find = (routes: Routes, url: string): string | null => routes.find(aUrl(url))?.adapter.name ?? null

describe('a trailing dot is the same host, which must not slip past its adapter to a catch-all', () => {
  for (const [url, mount] of [
    ['https://api.github.com./', 'https://api.github.com/'],
    ['https://API.github.com.:443/x', 'https://api.github.com/'],
    ['https://h.:8443/', 'https://h:8443/'],
    ['https://g/', 'https://g./'],
    ['https://g./', 'https://g./'],
  ] as const)
    test(url, () => {
      const routes = routesOf('https://', 'https://api.github.com/', 'https://h:8443/', 'https://g./')
      assert.equal(routes.find(prepareUrl(url, undefined).url)?.adapter.name, mount)
    })
})

describe('find', () => {
  const cases: [name: string, mounts: string[], url: string, expected: string | null][] = [
    ['the host itself', ['https://api.github.com/'], 'https://api.github.com/', 'https://api.github.com/'],
    ['anything below it', ['https://api.github.com/'], 'https://api.github.com/a/b?c#d', 'https://api.github.com/'],
    ['a mount without a slash', ['https://api.github.com'], 'https://api.github.com/a', 'https://api.github.com'],
    ['a host that only begins so', ['https://api.github.com'], 'https://api.github.com.evil.example/', null],
    ['a host that only ends so', ['https://github.com/'], 'https://evilgithub.com/', null],
    ['a subdomain', ['https://github.com/'], 'https://api.github.com/', null],
    ['a user name that looks like the host', ['https://api.github.com/'], 'https://api.github.com@evil.example/', null],
    ['a user name with a path in it', ['https://api.github.com/'], 'https://api.github.com%2f@evil.example/', null],
    ['the host in a path', ['https://api.github.com/'], 'https://evil.example/https://api.github.com/', null],
    ['another scheme', ['https://h/'], 'http://h/', null],
    ['another port', ['https://h/'], 'https://h:8443/', null],
    ['the default port, written', ['https://h/'], 'https://h:443/a', 'https://h/'],
    ['the default port in the mount', ['http://h:80/'], 'http://h/a', 'http://h:80/'],
    ['the port of the other scheme', ['https://h:80/'], 'https://h/', null],
    ['case of scheme and host', ['HTTPS://H.Example/'], 'hTTps://h.eXample/', 'HTTPS://H.Example/'],
    ['case of the path', ['https://h/Api'], 'https://h/api', null],
    ['an IPv6 host', ['http://[::1]:8081/'], 'http://[0:0:0:0:0:0:0:1]:8081/x', 'http://[::1]:8081/'],
    ['a path mount, exactly', ['https://h/a'], 'https://h/a', 'https://h/a'],
    ['a path mount before a query', ['https://h/a'], 'https://h/a?b', 'https://h/a'],
    ['a path mount before a fragment', ['https://h/a'], 'https://h/a#b', 'https://h/a'],
    ['a path mount before a slash', ['https://h/a'], 'https://h/a/', 'https://h/a'],
    ['a path that only begins so', ['https://h/a'], 'https://h/ab', null],
    ['a path that only begins so, after a dot', ['https://h/a'], 'https://h/a.b', null],
    ['a mount with a slash takes what is below', ['https://h/a/'], 'https://h/a/b', 'https://h/a/'],
    ['a mount with a slash does not take what is not', ['https://h/a/'], 'https://h/a', null],
    ['dot segments are gone when it is matched', ['https://h/a'], 'https://h/a/../b', null],
    ['the longest of several', ['https://h/', 'https://h/a', 'https://h/a/b'], 'https://h/a/b/c', 'https://h/a/b'],
    ['the next shorter one', ['https://h/', 'https://h/a', 'https://h/a/b'], 'https://h/a/bc', 'https://h/a'],
    ['the shortest one', ['https://h/', 'https://h/a', 'https://h/a/b'], 'https://h/ab', 'https://h/'],
    ['with and without a slash side by side', ['https://h/a', 'https://h/a/'], 'https://h/a/x', 'https://h/a/'],
    ['the same, without', ['https://h/a', 'https://h/a/'], 'https://h/a?x', 'https://h/a'],
    ['percent-encoding in either case', ['https://h/caf%C3%A9'], 'https://h/caf%c3%a9/x', 'https://h/caf%C3%A9'],
    ['a catch-all takes the rest', ['https://', 'https://h/'], 'https://other/', 'https://'],
    ['a catch-all is the shortest', ['https://', 'https://h/'], 'https://h/x', 'https://h/'],
    ['a catch-all takes what a path mount leaves', ['https://', 'https://h/a'], 'https://h/b', 'https://'],
    ['a catch-all is of its scheme alone', ['https://'], 'http://h/', null],
    ['no adapters', [], 'https://h/', null],
  ]
  for (const [name, mounts, url, expected] of cases) {
    test(name, () => assert.equal(find(routesOf(...mounts), url), expected))
    test(`${name}, whatever the order of adapters`, () => assert.equal(find(routesOf(...mounts.toReversed()), url), expected))
  }

  test('says why, in the words of the longest prefix', () => {
    const routes = routesOf('https://', 'https://h/', 'https://h/a', 'https://h/ab', 'https://only.example/', 'http://x/')
    const because = (url: string): string | undefined => routes.find(aUrl(url))?.because
    assert.equal(because('https://h/a/1'), 'longest prefix https://h/a of 3 that match')
    assert.equal(because('https://h/1'), 'longest prefix https://h/ of 2 that match')
    assert.equal(because('http://x/'), 'the only prefix that matches is http://x/')
    assert.equal(because('https://elsewhere/'), 'no other adapter is mounted there; https:// takes the rest')
  })

  test('makes nothing anew for a call', () => {
    const routes = routesOf('https://h/a')
    assert.equal(routes.find(aUrl('https://h/a/1')), routes.find(aUrl('https://h/a/2')))
  })

  test('agrees with the plain rule, prefix by prefix', () => {
    const path = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
    fc.assert(
      fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 8 }), path, (mounts, wanted) => {
        const matching = mounts.filter(
          (mount) => wanted.startsWith(mount) && (wanted === mount || mount.endsWith('/') || wanted[mount.length] === '/'),
        )
        const longest = matching.toSorted((a, b) => b.length - a.length)[0]
        const routes = routesOf(...mounts.map((mount) => `https://h${mount}`))
        assert.equal(find(routes, `https://h${wanted}`), longest === undefined ? null : `https://h${longest}`)
      }),
    )
  })
})

describe('createRoutes', () => {
  test('refuses two adapters on one mount, and a mount that is none', () => {
    assert.throws(() => routesOf('https://h', 'https://h:443/'), /both mounted on https:\/\/h\//)
    assert.throws(() => routesOf('h'), /mount of adapter h must be a whole URL/)
  })

  test('hands on ceilings and names of CA bundles', () => {
    const bundles = new Set(['corp'])
    const routes = createRoutes([], CEILINGS, bundles)
    assert.equal(routes.ceilings, CEILINGS)
    assert.equal(routes.caBundles, bundles)
  })

  test('looks at few of two thousand adapters, on one host or on many', () => {
    const paths = Array.from({ length: 2000 }, (_, i) => `https://h/service-${i}`)
    const hosts = Array.from({ length: 2000 }, (_, i) => `https://h${i}.example/`)
    for (const mounts of [paths, hosts]) {
      const routes = routesOf(...mounts)
      const url = aUrl(`${mounts[1999]}/x`)
      const lookUps = countLookUps(() => assert.equal(routes.find(url)?.adapter.name, mounts[1999]))
      assert.ok(lookUps <= 3, `${lookUps} look-ups`)
    }
  })

  test('a path of slashes costs no more look-ups than mounts are deep', () => {
    const routes = routesOf('https://h/a', 'https://h/a/b', 'https://h/a/b/c')
    const url = aUrl(`https://h/${'/'.repeat(8000)}`)
    assert.ok(countLookUps(() => assert.equal(routes.find(url), null)) <= 4)
  })
})

/** Map look-ups during `run`: the measure of cost that no other load on the machine changes. */
function countLookUps(run: () => void): number {
  const { get } = Map.prototype
  let count = 0
  Map.prototype.get = function (this: Map<unknown, unknown>, key: unknown) {
    count++
    return get.call(this, key)
  }
  try {
    run()
  } finally {
    Map.prototype.get = get
  }
  return count
}
