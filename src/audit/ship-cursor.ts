// How far a sink has the trail: file by file, kept beside the trail so that a shipper goes on after a restart. Behind rather than
// ahead: what was sent and not noted is sent again.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { adopt } from './adopt.ts'

export interface FilePosition {
  /** Where a block begins. */
  readonly pos: number
  /** Records of that block that it has. */
  readonly skip: number
  /** It has all, and nothing is added to that file any more. */
  readonly done: boolean
}

export interface ShipCursor {
  get(file: string): FilePosition
  set(file: string, position: FilePosition): void
  /** Forgets other files. */
  keep(files: ReadonlySet<string>): void
  save(): void
  /** Whether it changed or not. */
  write(): void
}

const START: FilePosition = { pos: 0, skip: 0, done: false }

/** `path` null: nothing is kept. Throws where the file is there and is not a cursor. */
export function openCursor(path: string | null): ShipCursor {
  let files = path === null ? new Map<string, FilePosition>() : read(path)
  let saved = true
  const write = (): void => {
    if (path === null) return
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const draft = `${path}.draft`
    writeFileSync(draft, JSON.stringify(Object.fromEntries(files)), { mode: 0o600 })
    adopt(draft, dirname(path))
    renameSync(draft, path)
    saved = true
  }
  return {
    get: (file) => files.get(file) ?? START,
    set(file, position) {
      files.set(file, position)
      saved = false
    },
    keep(present) {
      files = new Map([...files].filter(([file]) => present.has(file)))
    },
    save() {
      if (!saved) write()
    },
    write,
  }
}

function read(path: string): Map<string, FilePosition> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, FilePosition>))
  } catch {
    throw new Error(`${path} is not a cursor of the audit trail; remove it to ship everything again`)
  }
}
