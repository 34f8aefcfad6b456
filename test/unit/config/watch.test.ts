// Real folders, since what the operating system tells is the point; the debounce is turned by hand.
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { watchConfig } from '../../../src/config/watch.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { writeFiles } from './support.ts'

interface Watched {
  readonly clock: FakeClock
  readonly changes: () => number
  readonly stop: () => void
}

async function watchFiles(files: readonly string[]): Promise<Watched> {
  const clock = createFakeClock()
  let changes = 0
  const stop = await watchConfig(
    files,
    () => {
      changes++
    },
    clock,
  )
  return { clock, changes: () => changes, stop }
}

/** Waits, 2 s at most, until `happened`. */
async function until(happened: () => boolean): Promise<void> {
  const end = performance.now() + 2000
  while (!happened() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.ok(happened(), 'nothing came within 2 s')
}

/** An event came, and after the quiet time `count` changes were told. */
async function expectChanges({ clock, changes }: Watched, count: number): Promise<void> {
  await until(() => clock.pending > 0)
  await clock.advance(1000)
  await until(() => changes() >= count)
  assert.equal(changes(), count)
}

describe('watchConfig', () => {
  test('tells a file that is written, and one that is replaced, once each', async () => {
    const folder = writeFiles({ 'c.yaml': 'a', 'other.txt': '' })
    const watched = await watchFiles([join(folder, 'c.yaml')])
    writeFileSync(join(folder, 'c.yaml'), 'bb')
    writeFileSync(join(folder, 'c.yaml'), 'ccc')
    await expectChanges(watched, 1)
    writeFileSync(join(folder, 'new'), 'dddd')
    renameSync(join(folder, 'new'), join(folder, 'c.yaml'))
    await expectChanges(watched, 2)
    watched.stop()
  })

  test('tells nothing of other files beside it', async () => {
    const folder = writeFiles({ 'c.yaml': 'a' })
    const watched = await watchFiles([join(folder, 'c.yaml')])
    writeFileSync(join(folder, 'other.txt'), 'b')
    await until(() => watched.clock.pending > 0)
    await watched.clock.advance(1000)
    writeFileSync(join(folder, 'c.yaml'), 'bb')
    await expectChanges(watched, 1)
    watched.stop()
  })

  test('tells the swap of a symbolic link, again and again, as Kubernetes does it', async () => {
    const folder = writeFiles({ '..1/c.yaml': 'one' })
    const swapTo = (version: string): void => {
      symlinkSync(version, join(folder, '..new'))
      renameSync(join(folder, '..new'), join(folder, '..data'))
    }
    swapTo('..1')
    symlinkSync('..data/c.yaml', join(folder, 'c.yaml'))
    const watched = await watchFiles([join(folder, 'c.yaml')])
    for (const version of [2, 3]) {
      mkdirSync(join(folder, `..${version}`))
      writeFileSync(join(folder, `..${version}`, 'c.yaml'), `version ${version}`)
      swapTo(`..${version}`)
      rmSync(join(folder, `..${version - 1}`), { recursive: true })
      await expectChanges(watched, version - 1)
    }
    watched.stop()
  })

  test('tells files that come, change and go in a folder of adapters', async () => {
    const folder = writeFiles({ 'c.yaml': 'a', 'adapters/a.yaml': 'a' })
    const watched = await watchFiles([join(folder, 'c.yaml'), join(folder, 'adapters')])
    writeFileSync(join(folder, 'adapters', 'b.yaml'), 'b')
    await expectChanges(watched, 1)
    writeFileSync(join(folder, 'adapters', 'b.yaml'), 'bb')
    await expectChanges(watched, 2)
    rmSync(join(folder, 'adapters', 'a.yaml'))
    await expectChanges(watched, 3)
    watched.stop()
  })

  test('tells nothing once stopped, and leaves no timer', async () => {
    const folder = writeFiles({ 'c.yaml': 'a' })
    const watched = await watchFiles([join(folder, 'c.yaml')])
    writeFileSync(join(folder, 'c.yaml'), 'bb')
    await until(() => watched.clock.pending > 0)
    watched.stop()
    assert.equal(watched.clock.pending, 0)
    await watched.clock.advance(1000)
    assert.equal(watched.changes(), 0)
  })
})
