import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseMount } from '../../../src/model/mount.ts'

describe('parseMount', () => {
  const normalised: [written: string, text: string][] = [
    ['https://api.github.com', 'https://api.github.com/'],
    ['HTTPS://API.GitHub.COM:443/', 'https://api.github.com/'],
    ['http://h:80/a', 'http://h/a'],
    ['https://h:80/a', 'https://h:80/a'],
    ['https://h/A/b/', 'https://h/A/b/'],
    ['https://h/caf%c3%a9', 'https://h/caf%C3%A9'],
    ['https://h/café', 'https://h/caf%C3%A9'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example/'],
    ['http://[::1]:8080/x', 'http://[::1]:8080/x'],
    ['http://2130706433/', 'http://127.0.0.1/'],
    ['https://h./a', 'https://h/a'],
    ['https://', 'https://'],
    ['HTTP://', 'http://'],
  ]
  for (const [written, text] of normalised) {
    test(`${written} is ${text}`, () => {
      const reading = parseMount(written)
      assert.ok(reading.ok)
      assert.equal(reading.mount.text, text)
    })
  }

  test('a catch-all has a scheme and no origin', () => {
    assert.deepEqual(parseMount('http://'), { ok: true, mount: { text: 'http://', scheme: 'http', origin: null, path: '' } })
  })

  const refused: [written: string, fault: RegExp][] = [
    ['', /must be a whole URL/],
    ['api.github.com', /must be a whole URL/],
    ['ftp://h/', /must be a whole URL/],
    ['https:/h/', /must be a whole URL/],
    ['https:///path', /must be a whole URL/],
    ['https://./', /has no host/],
    ['https://%2e:8443', /has no host/],
    ['https://user:s3cret@h/', /store it as a secret/],
    ['https://user@h/', /store it as a secret/],
    ['https://h/?a=1', /must end at the path/],
    ['https://h/a?', /must end at the path/],
    ['https://h/#f', /must end at the path/],
    ['https://h/a/../b', /dot segments/],
    ['https://h/a/%2e%2E/b', /dot segments/],
    ['https://h/a/%252e%252e/b', /dot segments/],
    ['https://h/a/.', /dot segments/],
    ['https://h/a%2fb', /encoded slashes/],
    ['https://h/a%5Cb', /encoded slashes/],
    ['https://h/a\\b', /backslashes/],
    ['https://h\\@evil.example/', /backslashes/],
    ['https://*.example.com/', /wildcard/],
    ['https://h:99999/', /is no URL/],
    ['https://[::1/', /is no URL/],
    ['https://h /', /is no URL/],
    ['https://h/a\n', /is no URL/],
  ]
  for (const [written, fault] of refused) {
    test(`${JSON.stringify(written)} is refused`, () => {
      const reading = parseMount(written)
      assert.ok(!reading.ok)
      assert.match(reading.fault, fault)
      assert.doesNotMatch(reading.fault, /s3cret/)
    })
  }

  test('never throws, and what it normalised stays as it is', () => {
    const piece = fc.constantFrom('https://', 'http://', 'h', '/', '%2e', '%c3', '%', 'A', ':', '@', '.', '[', ']', '1', '?')
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: piece }),
      fc.string({ unit: piece }).map((rest) => `https://h${rest}`),
    )
    fc.assert(
      fc.property(text, (written) => {
        const reading = parseMount(written)
        if (reading.ok) assert.deepEqual(parseMount(reading.mount.text), reading)
      }),
    )
  })
})
