import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPulse } from '../../../src/workers/pulse.ts'

function aWorker() {
  const answers: (() => void)[] = []
  const said = { dead: 0 }
  const ask = () => new Promise<void>((resolve) => answers.push(resolve))
  const pulse = createPulse(ask, () => said.dead++)
  const beats = (count: number): void => {
    for (let i = 0; i < count; i++) pulse.beat()
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { answers, said, beats, turn }
}

test('a worker that answers is asked again, however often it was late', async () => {
  const { answers, said, beats, turn } = aWorker()
  for (let round = 1; round <= 10; round++) {
    beats(20)
    assert.equal(answers.length, round, 'never a second question ahead of an answer')
    answers.at(-1)?.()
    await turn()
  }
  assert.equal(said.dead, 0)
})

test('one that lets twenty rounds pass is given up, once', () => {
  const { said, beats } = aWorker()
  beats(20)
  assert.equal(said.dead, 0)
  beats(1)
  assert.equal(said.dead, 1)
  beats(100)
  assert.equal(said.dead, 1)
})
