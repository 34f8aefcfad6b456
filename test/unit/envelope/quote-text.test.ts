import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeText } from '../../../src/envelope/charset.ts'
import { quoteInTurns } from '../../../src/envelope/quote-text.ts'

const STEP = 24 * 1024
const atOnce = async (): Promise<void> => {}

async function quoted(bytes: Buffer, charset: string): Promise<string> {
  return (await quoteInTurns(bytes, charset, atOnce)).toString()
}

const whole = (bytes: Buffer, charset: string): string => JSON.stringify(decodeText(bytes, charset)).slice(1, -1)

/** Bytes that mean something, or nothing, where they are cut: characters of each length, torn ones, and bytes that only go on. */
const around = fc
  .array(fc.constantFrom('a', '"', '\n', 'é', '€', '😀', '\ufeff', '80', '8080', 'f0', 'e282', 'f09f98', 'c0', 'eda080', 'ff'), {
    maxLength: 12,
  })
  .map((pieces) => Buffer.concat(pieces.map((piece) => Buffer.from(piece, /^([89c-f][0-9a-f])+$/.test(piece) ? 'hex' : 'utf8'))))

describe('a long text in parts', () => {
  test('is what it is in one, wherever it is cut and whatever is torn', async () => {
    await fc.assert(
      fc.asyncProperty(around, around, fc.nat({ max: 8 }), async (before, behind, early) => {
        const filler = Buffer.alloc(Math.max(0, STEP - early - before.length), 'x')
        const bytes = Buffer.concat([filler, before, behind, Buffer.alloc(STEP, 'y'), before])
        assert.ok((await quoted(bytes, 'utf-8')) === whole(bytes, 'utf-8'))
      }),
    )
  })

  test('no pair of surrogates is torn in a charset that is decoded at once', async () => {
    for (const ahead of [0, 1, 2]) {
      const bytes = Buffer.from(`${'x'.repeat(STEP - ahead)}${'😀'.repeat(STEP)}`, 'utf16le')
      assert.ok((await quoted(bytes, 'utf-16le')) === whole(bytes, 'utf-16le'))
    }
  })

  test('others have their turn between the parts', async () => {
    let turns = 0
    await quoteInTurns(Buffer.alloc(100 * STEP, 'x'), 'latin1', async () => void turns++)
    assert.equal(turns, 25)
  })

  test('what grows six times as long is whole', async () => {
    const bytes = Buffer.alloc(100 * STEP, 1)
    assert.ok((await quoted(bytes, 'utf-8')) === whole(bytes, 'utf-8'))
  })
})
