import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { coveredMetadata, isLoopbackHost, isMetadata, normaliseDnsServer } from '../../../src/config/addresses.ts'

describe('metadata in a block', () => {
  const cases: [cidr: string, is: boolean, covers: number][] = [
    ['169.254.169.254', true, 0],
    ['169.254.169.254/32', true, 0],
    ['169.254.169.0/24', true, 1],
    ['169.254.169.0/23', false, 1],
    ['0.0.0.0/0', false, 8],
    ['100.64.0.0/10', false, 1],
    ['10.0.0.0/8', false, 0],
    ['fd00:ec2::254', true, 0],
    ['fd00::/8', false, 3],
    ['::/0', false, 4],
  ]
  for (const [cidr, is, covers] of cases) {
    test(cidr, () => {
      assert.equal(isMetadata(cidr), is)
      assert.equal(coveredMetadata(cidr).length, covers)
    })
  }
})

describe('isLoopbackHost', () => {
  const cases: [host: string, expected: boolean][] = [
    ['127.0.0.1', true],
    ['127.255.0.9', true],
    ['::1', true],
    ['LOCALHOST', true],
    ['0.0.0.0', false],
    ['::', false],
    ['127.0.0.1.example', false],
    ['10.0.0.1', false],
    ['localhost.example', false],
  ]
  for (const [host, expected] of cases) test(host, () => assert.equal(isLoopbackHost(host), expected))
})

describe('normaliseDnsServer', () => {
  const cases: [written: string, expected: string | null][] = [
    ['10.0.0.2', '10.0.0.2:53'],
    ['10.0.0.2:5353', '10.0.0.2:5353'],
    ['fd00::2', '[fd00::2]:53'],
    ['[fd00::2]', '[fd00::2]:53'],
    ['[fd00::2]:54', '[fd00::2]:54'],
    ['dns.internal:53', null],
    ['10.0.0.2:0', null],
    ['10.0.0.2:70000', null],
    ['10.0.0:53', null],
    ['', null],
  ]
  for (const [written, expected] of cases) test(written || '(empty)', () => assert.equal(normaliseDnsServer(written), expected))
})
