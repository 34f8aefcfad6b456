import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import { certificateKey, certificateKeys } from '../../../src/policy/certificate-names.ts'
import { certificates, SPIFFE_ID } from '../../support/certificates.ts'

const FINGERPRINT = Array.from({ length: 32 }, () => 'AB').join(':')
const facts = (over: object = {}) => ({ fingerprint256: FINGERPRINT, subject: undefined, subjectAltName: undefined, ...over })
const sans = (subjectAltName: string) => certificateKeys(facts({ subjectAltName })).slice(1)

test('a real certificate is known by its fingerprint, its subject and its names', () => {
  const { fingerprint256, subject, subjectAltName } = new X509Certificate(certificates().workload.cert)
  const keys = certificateKeys({ fingerprint256, subject, subjectAltName })
  for (const name of [
    { sha256: fingerprint256 },
    { sha256: fingerprint256.replaceAll(':', '').toLowerCase() },
    { subject: 'CN=api' },
    { san: SPIFFE_ID },
    { san: 'api.billing.internal' },
    { san: 'API.billing.internal' },
  ])
    assert.ok(keys.includes(certificateKey(name) ?? '-'), JSON.stringify(name))
  assert.equal(keys.length, 4)
})

describe('what is configured', () => {
  for (const [name, written] of [
    ['nothing', {}],
    ['two names', { san: 'a', sha256: FINGERPRINT }],
    ['a short fingerprint', { sha256: 'ab:cd' }],
    ['a subject without attributes', { subject: 'api' }],
    ['an attribute without a value', { subject: 'CN=' }],
    ['an empty name', { san: '' }],
  ] as const)
    test(`${name} is no name`, () => assert.equal(certificateKey(written), null))
})

describe('a subject', () => {
  const key = (subject: string) => certificateKey({ subject })
  const of = (subject: string) => certificateKeys(facts({ subject }))[1]
  test('is the same in any order and spacing', () => {
    assert.equal(key('CN=api,O=Billing'), key('O=Billing, CN=api'))
    assert.equal(key('CN=api,O=Billing'), of('O=Billing\nCN=api'))
  })
  test('is whole: one with more or less in it is another', () => {
    assert.notEqual(key('CN=api'), of('O=Billing\nCN=api'))
    assert.notEqual(key('CN=api,O=Billing'), of('CN=api'))
  })
  test('keeps escaped commas', () => {
    assert.equal(key('CN=api,O=Billing\\, Inc.'), of('O=Billing\\, Inc.\nCN=api'))
  })
  test('of no text is none', () => {
    assert.equal(certificateKeys(facts()).length, 1)
    assert.equal(certificateKeys(facts({ subject: '' })).length, 1)
  })
})

describe('alternative names', () => {
  for (const [name, text, expected] of [
    ['several', 'DNS:a.example, URI:spiffe://t/a, DNS:b.example', ['dns a.example', 'uri spiffe://t/a', 'dns b.example']],
    ['of kinds that nobody is known by', 'IP Address:127.0.0.1, email:a@b, DNS:a', ['dns a']],
    ['one that holds what looks like another', 'DNS:"a, URI:spiffe://t/admin"', ['dns a, uri:spiffe://t/admin']],
    ['one with quotes in it', 'URI:"x\\"y, DNS:b"', ['uri x"y, DNS:b']],
    ['none', '', []],
    ['a text that does not fit', 'URI:spiffe://t/a, "', []],
    ['a quote that does not end', 'DNS:a, URI:"spiffe://t/a', []],
  ] as const)
    test(name, () => assert.deepEqual(sans(text), expected))
})
