// Texts that are meant to break a URL parser.
import fc from 'fast-check'

/** UTF-16 code units, halves of surrogate pairs among them. */
export const aWildText: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0x17f }), fc.integer({ min: 0, max: 0xffff })), { maxLength: 20 })
  .map((units) => String.fromCharCode(...units))

const PIECES = [
  ...'aZ0.-_~:/?#[]@!$&\'()*+,;=%\\|^"<>{}` \t\n\0\x7f',
  ...['%2e', '%2F', '%5c', '%41', '%00', '%zz', '%25', '..', '//', '/./', '/../', '.%2e/', '0x7f', '0177', '127.1', '2130706433'],
  ...[
    'ä',
    'ß',
    'İ',
    'Σ',
    '中',
    '☃',
    '😀',
    'ｅ',
    '①',
    '。',
    '／',
    '＠',
    '\u00ad',
    '\u200d',
    '\ud800',
    'xn--',
    'xn--n3h',
    '[::1]',
    '::ffff:1.2.3.4',
  ],
  ...['user:pw@', 'example.com', 'h.example:8080', 'http://', ':80', ':0', ':65536'],
]

/** Mostly http URLs, put together of pieces that parsers disagree about. */
export const aUrlText: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom('http://', 'https://', 'HTTP://', 'http:', 'http:/', ''),
    fc.constantFrom('', '', 'h.example', 'h.example/', 'h.example/a?', 'h.example/#', 'u:p@h.example/', '[::1]/'),
    fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }),
  )
  .map(([scheme, site, pieces]) => scheme + site + pieces.join(''))
