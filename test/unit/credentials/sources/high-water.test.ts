import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createHighWaterFile } from '../../../../src/credentials/sources/high-water.ts'

function aFolder(t: { after(end: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-marks-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return dir
}

test('what one process raised another follows; a mark is never lowered', async (t) => {
  const file = join(aFolder(t), 'data', 'marks.jsonl')
  const [command, gateway] = [createHighWaterFile(file, 'one'), createHighWaterFile(file, 'one')]
  assert.equal(await gateway.follow(), true)
  assert.equal(gateway.of('github'), 0)
  await command.raise('github', 7)
  await command.raise('github', 5)
  assert.equal(command.of('github'), 7)
  assert.equal(await gateway.follow(), true)
  assert.equal(gateway.of('github'), 7)
  assert.equal(await gateway.follow(), false)
  assert.equal(statSync(file).mode & 0o077, 0)
  await gateway.raise('github', 9)
  await command.raise('stripe', 1)
  await command.follow()
  assert.deepEqual([command.of('github'), command.of('stripe')], [9, 1])
})

test('writers at once lose no mark', async (t) => {
  const file = join(aFolder(t), 'marks.jsonl')
  const writers = Array.from({ length: 8 }, () => createHighWaterFile(file, 'one'))
  await Promise.all(writers.flatMap((writer, i) => [1, 2, 3, 4].map((revision) => writer.raise(`secret-${i}`, revision))))
  const reader = createHighWaterFile(file, 'one')
  await reader.follow()
  assert.deepEqual(
    writers.map((_, i) => reader.of(`secret-${i}`)),
    writers.map(() => 4),
  )
})

test('lines of another installation, and lines that are none, are passed over', async (t) => {
  const file = join(aFolder(t), 'marks.jsonl')
  await createHighWaterFile(file, 'other').raise('github', 9)
  appendFileSync(
    file,
    '\n{"installation":"one","name":"github","revi\nnull\n[]\n{"installation":"one","name":"github","revision":"8"}\n',
  )
  await createHighWaterFile(file, 'one').raise('github', 3)
  const reader = createHighWaterFile(file, 'one')
  await reader.follow()
  assert.equal(reader.of('github'), 3)
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 8)
})

test('a file that cannot be read or written is Overloaded, and says which', async (t) => {
  const dir = aFolder(t)
  const marks = createHighWaterFile(dir, 'one')
  await assert.rejects(marks.follow(), { type: 'Overloaded', message: /high-water file .*cannot be read \(EISDIR\)/ })
  await assert.rejects(marks.raise('github', 1), { type: 'Overloaded', message: /high-water file .*cannot be written/ })
})
