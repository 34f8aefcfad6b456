import assert from 'node:assert/strict'
import { BlockList, isIP } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { EgressPolicy } from '../../../src/model/adapter-policy.ts'
import { METADATA_RANGES } from '../../../src/model/metadata-ranges.ts'
import {
  canonicalAddress,
  createAddressJudge,
  createUnicastJudge,
  isGlobalUnicast,
  judgeAddress,
  SPECIAL_RANGES,
} from '../../../src/policy/address-rules.ts'

const strict: EgressPolicy = { allow: [], allowMetadata: [], ports: null, mixedAnswers: 'refuse' }

/** Class → addresses that are of it, the edges of each range among them. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'this network': ['0.0.0.0', '0.0.0.1', '0.255.255.255', '::ffff:0.0.0.0', '64:ff9b::0.0.0.0', '2002:0:1::'],
  private: [
    '10.0.0.0',
    '10.0.0.1',
    '10.1.2.3',
    '10.255.255.255',
    '172.16.0.0',
    '172.16.0.1',
    '172.20.10.2',
    '172.31.255.255',
    '192.168.0.0',
    '192.168.0.1',
    '192.168.1.1',
    '192.168.255.255',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '::FFFF:10.0.0.1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '0000:0000:0000:0000:0000:ffff:0a00:0001',
    '::ffff:172.16.0.1',
    '::ffff:ac1f:ffff',
    '::ffff:192.168.1.1',
    '::ffff:c0a8:101',
    '64:ff9b::10.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b:0:0:0:0:a00:1',
    '64:ff9b::192.168.0.1',
    '64:ff9b::ac10:1',
    '2002:a00:1::',
    '2002:a00:1::1',
    '2002:c0a8:101::',
    '2002:ac10:1:ffff::1',
  ],
  'carrier-grade NAT': [
    '100.64.0.0',
    '100.64.0.1',
    '100.100.0.1',
    '100.127.255.255',
    '::ffff:100.64.0.1',
    '64:ff9b::6440:1',
    '2002:6440:1::',
  ],
  loopback: [
    '127.0.0.0',
    '127.0.0.1',
    '127.0.0.53',
    '127.1.2.3',
    '127.255.255.255',
    '::1',
    '0:0:0:0:0:0:0:1',
    '0000::0001',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:7fff:ffff',
    '64:ff9b::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2002:7f00:1::7f00:1',
    '::1%lo',
  ],
  'link-local': [
    '169.254.0.0',
    '169.254.0.1',
    '169.254.168.255',
    '169.254.171.0',
    '169.254.255.255',
    'fe80::',
    'fe80::1',
    'fe80::1%eth0',
    'fe80::1%25eth0',
    'FE80::ABCD',
    'febf:ffff::1',
    '::ffff:169.254.1.1',
    '::ffff:a9fe:101',
    '64:ff9b::a9fe:101',
    '2002:a9fe:101::',
  ],
  'protocol assignment': [
    '192.0.0.0',
    '192.0.0.1',
    '192.0.0.8',
    '192.0.0.170',
    '192.0.0.255',
    '::ffff:192.0.0.1',
    '64:ff9b::c000:1',
    '2001:1::1',
    '2001:1::2',
    '2001:3::1',
    '2001:4:112::1',
    '2001:30::1',
    '2001:1ff:ffff::1',
  ],
  documentation: [
    '192.0.2.0',
    '192.0.2.1',
    '192.0.2.255',
    '198.51.100.0',
    '198.51.100.255',
    '203.0.113.0',
    '203.0.113.7',
    '203.0.113.255',
    '2001:db8::',
    '2001:db8::1',
    '2001:db8:ffff:ffff::1',
    '2001:DB8::1',
    '3fff::1',
    '3fff:fff:ffff::1',
    '::ffff:192.0.2.1',
    '64:ff9b::c000:201',
    '2002:c000:201::',
  ],
  '6to4 relay': ['192.88.99.0', '192.88.99.1', '192.88.99.255', '::ffff:192.88.99.1'],
  benchmarking: [
    '198.18.0.0',
    '198.18.0.1',
    '198.19.255.255',
    '2001:2::1',
    '2001:2:0:ffff::1',
    '::ffff:198.18.0.1',
    '64:ff9b::c612:1',
  ],
  multicast: [
    '224.0.0.0',
    '224.0.0.1',
    '224.0.0.251',
    '239.255.255.250',
    '239.255.255.255',
    'ff00::',
    'ff02::1',
    'ff02::fb',
    'ff05::1:3',
    'ffff:ffff::1',
    '::ffff:224.0.0.1',
    '64:ff9b::e000:1',
    '2002:e000:1::',
  ],
  reserved: ['240.0.0.0', '240.0.0.1', '250.1.2.3', '255.255.255.254', '::ffff:240.0.0.1', '64:ff9b::f000:1', '2002:f000:1::'],
  broadcast: ['255.255.255.255', '::ffff:255.255.255.255', '64:ff9b::ffff:ffff', '2002:ffff:ffff::'],
  unspecified: ['::', '0:0:0:0:0:0:0:0', '0::0'],
  'IPv4-compatible': ['::127.0.0.1', '::7f00:1', '::10.0.0.1', '::8.8.8.8', '::2', '::ffff'],
  'IPv4-translated': ['::ffff:0:127.0.0.1', '::ffff:0:7f00:1', '::ffff:0:8.8.8.8'],
  'local NAT64': ['64:ff9b:1::', '64:ff9b:1::7f00:1', '64:ff9b:1:ffff::8.8.8.8', '64:ff9b:1:a:b:c:d:e'],
  'discard-only': ['100::', '100::1', '100::ffff:ffff:ffff:ffff'],
  'dummy prefix': ['100:0:0:1::', '100:0:0:1::1'],
  Teredo: ['2001::', '2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:0:ffff:ffff::1'],
  ORCHID: ['2001:10::1', '2001:1f:ffff::1', '2001:20::1', '2001:2f:ffff::1'],
  'segment routing': ['5f00::', '5f00::1', '5f00:ffff::1'],
  'unique local': ['fc00::', 'fc00::1', 'fd00::1', 'fd12:3456:789a::1', 'fdff:ffff:ffff::1', 'FD00::1'],
  'site-local': ['fec0::', 'fec0::1', 'feff::1'],
  'not global unicast': [
    '64:ff9a::1',
    '64:ff9b:0:0:0:1:7f00:1',
    '64:ff9b:2::1',
    '100:0:0:2::1',
    '200::1',
    '400::1',
    '1fff:ffff::1',
    '4000::1',
    '5eff::1',
    '6000::1',
    '8000::1',
    'a000::1',
    'c000::1',
    'e000::1',
    'fb00::1',
    'fe00::1',
    'fe7f::1',
    '1::1',
    '::1:0:0:1',
    '::fffe:10.0.0.1',
  ],
  metadata: [
    '169.254.169.254',
    '169.254.169.253',
    '169.254.169.123',
    '169.254.170.2',
    '169.254.170.23',
    '169.254.0.23',
    '169.254.10.10',
    '169.254.42.42',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd00:ec2::253',
    'FD00:EC2:0:0::254',
    'fd20:ce::254',
    'fd00:42::42',
    'fe80::a9fe:a9fe',
    'fe80::a9fe:a9fe%eth0',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::',
    '2002:a9fe:a9fe::1',
    '::ffff:100.100.100.200',
    '64:ff9b::6464:64c8',
    '2002:a83f:8110::',
  ],
  invalid: [
    '',
    ' ',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '127.0.0.01',
    '127.0.0.1 ',
    ' 127.0.0.1',
    '127.0.0.1.',
    '127.0.0.1/8',
    '256.0.0.1',
    '1.2.3',
    '1.2.3.4.5',
    '[::1]',
    '::1::',
    ':::1',
    '1:2:3:4:5:6:7:8:9',
    '::ffff:127.0.0.256',
    '12345::1',
    'g::1',
    '①②⑦.⓪.⓪.①',
    '127。0。0。1',
    '%eth0',
  ],
}

const GLOBAL = [
  '1.0.0.0',
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '93.184.216.34',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '191.255.255.255',
  '192.0.1.0',
  '192.0.3.0',
  '192.31.196.1',
  '192.52.193.1',
  '192.88.98.255',
  '192.88.100.0',
  '192.167.255.255',
  '192.169.0.0',
  '192.175.48.1',
  '198.17.255.255',
  '198.20.0.0',
  '198.51.99.255',
  '198.51.101.0',
  '203.0.112.255',
  '203.0.114.0',
  '223.255.255.255',
  '2000::1',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2001:db7::1',
  '2001:db9::1',
  '2003::1',
  '2400:cb00::1',
  '2606:4700::1111',
  '2620:4f:8000::1',
  '2a00:1450:4001::1',
  '3ffe::1',
  '3fff:1000::1',
  '2606:4700::1%eth0',
  '::ffff:8.8.8.8',
  '::ffff:808:808',
  '64:ff9b::8.8.8.8',
  '64:ff9b::808:808',
  '2002:808:808::',
  '2002:808:808::1',
]

describe('an address is refused unless it is listed', () => {
  const judge = createAddressJudge(strict)
  for (const [kind, addresses] of Object.entries(REFUSED)) {
    for (const address of addresses) {
      test(`"${address}" is ${kind}`, () => {
        const verdict = judge(address)
        assert.equal(verdict.class, kind, verdict.because)
        assert.equal(verdict.allowed, false)
        assert.ok(verdict.because.includes(address))
      })
    }
  }
})

describe('an address is allowed without being listed', () => {
  const judge = createAddressJudge(strict)
  for (const address of GLOBAL) {
    test(`"${address}" is global unicast`, () => {
      assert.deepEqual(judge(address), { allowed: true, class: 'global', because: `${address} is global unicast` })
      assert.equal(isGlobalUnicast(address), true)
    })
  }
})

test('what is remembered of an address is what it was judged to be, however many are asked for', () => {
  const judge = createUnicastJudge()
  const inside = Object.values(REFUSED).flat()
  const many = Array.from({ length: 3000 }, (_, at) => `${at % 2 === 0 ? 10 : 9}.0.${at >> 8}.${at & 255}`)
  for (const address of [...GLOBAL, ...inside, ...many, ...GLOBAL, ...inside, ...many])
    assert.equal(judge(address), isGlobalUnicast(address), address)
})

test('there are at least 200 cases', () => {
  assert.ok(Object.values(REFUSED).flat().length + GLOBAL.length >= 200)
})

describe('egress.allow', () => {
  const cases: readonly [string, readonly string[], readonly string[], string, boolean, RegExp][] = [
    ['opens what it covers', ['10.1.2.0/24'], [], '10.1.2.3', true, /listed in egress\.allow/],
    ['opens nothing beside it', ['10.1.2.0/24'], [], '10.1.3.3', false, /private \(RFC 1918\)/],
    ['takes a bare address', ['127.0.0.1'], [], '127.0.0.1', true, /listed/],
    ['takes a bare IPv6 address', ['::1'], [], '::1', true, /listed/],
    ['covers the mapped form of what it lists', ['10.0.0.0/8'], [], '::ffff:10.1.2.3', true, /listed/],
    ['covers the NAT64 form of what it lists', ['10.0.0.0/8'], [], '64:ff9b::a01:203', true, /listed/],
    ['covers the 6to4 form of what it lists', ['10.0.0.0/8'], [], '2002:a01:203::1', true, /listed/],
    ['may name the IPv6 form alone', ['64:ff9b::/96'], [], '64:ff9b::7f00:1', true, /listed/],
    ['of 6to4 does not open the IPv4 inside', ['2002::/16'], [], '10.0.0.1', false, /private/],
    [
      'of everything opens no metadata address',
      ['0.0.0.0/0', '::/0'],
      [],
      '169.254.169.254',
      false,
      /only egress\.allowMetadata opens/,
    ],
    ['of everything opens no mapped metadata address', ['0.0.0.0/0', '::/0'], [], '::ffff:169.254.169.254', false, /metadata/],
    ['of everything opens no IPv6 metadata address', ['::/0'], [], 'fd00:ec2::254', false, /metadata/],
    ['of the metadata address itself does not open it', ['169.254.169.254/32'], [], '169.254.169.254', false, /metadata/],
    ['and allowMetadata opens one', [], ['169.254.169.254/32'], '169.254.169.254', true, /listed in egress\.allowMetadata/],
    ['and allowMetadata opens only what it lists', [], ['169.254.169.254/32'], '169.254.170.2', false, /metadata/],
    ['and allowMetadata opens nothing else in its range', [], ['169.254.0.0/16'], '169.254.1.1', false, /link-local/],
    ['is not asked about what is no address', ['0.0.0.0/0', '::/0'], [], '0x7f.1', false, /not an IP address/],
  ]
  for (const [name, allow, allowMetadata, address, allowed, because] of cases) {
    test(name, () => {
      const verdict = judgeAddress(address, { ...strict, allow, allowMetadata })
      assert.equal(verdict.allowed, allowed)
      assert.match(verdict.because, because)
    })
  }

  test('names the kind of address that it opened', () => {
    assert.equal(judgeAddress('10.1.2.3', { ...strict, allow: ['10.0.0.0/8'] }).class, 'private')
  })
})

test('a refusal of an embedded address names what is inside', () => {
  assert.equal(judgeAddress('64:ff9b::a00:1', strict).because, '64:ff9b::a00:1 leads to 10.0.0.1, which is private (RFC 1918)')
})

describe('the canonical form', () => {
  const forms: readonly [string, string | null][] = [
    ['8.8.8.8', '8.8.8.8'],
    ['::ffff:8.8.8.8', '8.8.8.8'],
    ['::ffff:7f00:1', '127.0.0.1'],
    ['0:0:0:0:0:FFFF:7F00:0001', '127.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['64:ff9b::808:808', '64:ff9b::808:808'],
    ['example.com', null],
    ['127.1', null],
  ]
  for (const [given, wanted] of forms) test(`of ${given} is ${wanted}`, () => assert.equal(canonicalAddress(given), wanted))
})

describe('whatever the address', () => {
  const judge = createAddressJudge(strict)
  const special = new BlockList()
  for (const { cidr } of SPECIAL_RANGES) {
    const [network = '', prefix = ''] = cidr.split('/')
    special.addSubnet(network, Number(prefix), isIP(network) === 4 ? 'ipv4' : 'ipv6')
  }
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))

  test('an IPv4 is judged the same in its mapped, NAT64 and 6to4 forms', () => {
    fc.assert(
      fc.property(octets, ([a, b, c, d]) => {
        const plain = judge(`${a}.${b}.${c}.${d}`)
        const hex = [a, b, c, d].map((octet) => octet.toString(16).padStart(2, '0'))
        const [high, low] = [`${hex[0]}${hex[1]}`, `${hex[2]}${hex[3]}`]
        for (const form of [
          `::ffff:${a}.${b}.${c}.${d}`,
          `::ffff:${high}:${low}`,
          `64:ff9b::${high}:${low}`,
          `2002:${high}:${low}::1`,
        ]) {
          assert.deepEqual([form, judge(form).allowed, judge(form).class], [form, plain.allowed, plain.class])
        }
      }),
    )
  })

  test('what is allowed is in no special range, and isGlobalUnicast says the same of all but metadata addresses', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const verdict = judge(address)
        const canonical = canonicalAddress(address) ?? ''
        if (verdict.allowed) assert.equal(special.check(canonical, isIP(canonical) === 4 ? 'ipv4' : 'ipv6'), false)
        if (verdict.class !== 'metadata') assert.equal(isGlobalUnicast(address), verdict.allowed)
      }),
      { numRuns: 2000 },
    )
  })

  test('any text at all has a verdict', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof judge(text).because === 'string'))
  })
})

test('every metadata range is refused from end to end by default', () => {
  for (const cidr of METADATA_RANGES) {
    const [network = ''] = cidr.split('/')
    assert.equal(judgeAddress(network, { ...strict, allow: ['0.0.0.0/0', '::/0'] }).class, 'metadata', cidr)
  }
})
