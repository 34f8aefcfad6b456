// Tells when the files of a configuration have changed. Folders are watched rather than files, since editors replace files and
// Kubernetes swaps a symbolic link beside them. Loading anew is app.ts' affair.
import { type FSWatcher, watch } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../model/ports.ts'

/** A save is often several events; quiet for this long ends it. */
const QUIET_MS = 250

/**
 * Runs `onChange` once after each change of what `files` (loadConfig()'s; absolute paths, folders among them) hold.
 * It never throws. Resolves, once every change is
 * seen, to how to stop.
 */
export async function watchConfig(files: readonly string[], onChange: () => void, clock: Clock): Promise<() => void> {
  const watchers = new Map<string, FSWatcher>()
  let stopTimer = (): void => {}
  let stopped = false
  let checks = Promise.resolve()
  let before = ''

  function schedule(): void {
    if (stopped) return
    stopTimer()
    stopTimer = clock.after(QUIET_MS, () => {
      checks = checks.then(check)
    })
  }

  async function check(): Promise<void> {
    await follow()
    const now = await signature(files)
    const changed = now !== before
    before = now
    if (changed && !stopped) onChange()
  }

  /** After a swap the real folders are others. */
  async function follow(): Promise<void> {
    const folders = new Set((await Promise.all(files.map(foldersOf))).flat())
    if (stopped) return
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue
      watcher.close()
      watchers.delete(folder)
    }
    for (const folder of folders) if (!watchers.has(folder)) open(folder)
  }

  function open(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, schedule)
      // A watched folder was removed; the one around it tells what comes in its place.
      watcher.on('error', () => {
        watcher.close()
        watchers.delete(folder)
      })
      watchers.set(folder, watcher)
    } catch {
      // Gone between look and watch: the next event of a folder around it looks again.
    }
  }

  await follow()
  before = await signature(files)
  return () => {
    stopped = true
    stopTimer()
    for (const watcher of watchers.values()) watcher.close()
  }
}

/** Where an event would be seen: the folder of the file as named, and of what it really is; a folder is one itself. */
async function foldersOf(file: string): Promise<string[]> {
  try {
    const real = await realpath(file)
    return (await stat(real)).isDirectory() ? [file, real, dirname(file)] : [dirname(file), dirname(real)]
  } catch {
    return [dirname(file)]
  }
}

/** Equal as long as no file was written, replaced, added or removed. */
async function signature(files: readonly string[]): Promise<string> {
  return (await Promise.all(files.map(describeFile))).join('\n')
}

async function describeFile(file: string): Promise<string> {
  try {
    const real = await realpath(file)
    const facts = await stat(real)
    if (!facts.isDirectory()) return `${real} ${facts.ino} ${facts.size} ${facts.mtimeMs}`
    const names = (await readdir(real)).filter((name) => !name.startsWith('.')).sort()
    return (await Promise.all(names.map((name) => describeEntry(join(real, name))))).join('\n')
  } catch {
    return ''
  }
}

async function describeEntry(file: string): Promise<string> {
  try {
    const facts = await stat(file)
    return `${file} ${facts.ino} ${facts.size} ${facts.mtimeMs}`
  } catch {
    return file
  }
}
