// How far each secret had come, kept outside the store: whoever can write there can put an old record back, but not lower this.
// A file of one line a change, only ever added to, so that writers need no lock and a copy is as good as the file.
import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { HighWater } from '../high-water.ts'
import { codeOf, followFile } from './followed-file.ts'

/** `installation`: lines of others, in a file that several share, are passed over. */
export function createHighWaterFile(file: string, installation: string): HighWater {
  const followed = followFile(file)
  let marks = new Map<string, number>()
  return {
    of: (name) => marks.get(name) ?? 0,
    async follow() {
      const text = await followed.changed().catch((error: unknown) => {
        throw away(`the high-water file ${file} cannot be read (${codeOf(error)})`)
      })
      if (text === null) return false
      marks = readMarks(text, installation)
      return true
    },
    async raise(name, revision) {
      if ((marks.get(name) ?? 0) >= revision) return
      try {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        await appendFile(file, `${JSON.stringify({ installation, name, revision })}\n`, { mode: 0o600 })
      } catch (error) {
        throw away(`the high-water file ${file} cannot be written (${codeOf(error)})`)
      }
      marks.set(name, revision)
    },
  }
}

const away = (message: string): GatewayError => new GatewayError('Overloaded', message, { retryAfter: 1000 })

function readMarks(text: string, installation: string): Map<string, number> {
  const marks = new Map<string, number>()
  for (const line of text.split('\n')) {
    const mark = parseMark(line)
    if (mark?.installation !== installation || mark.revision <= (marks.get(mark.name) ?? 0)) continue
    marks.set(mark.name, mark.revision)
  }
  return marks
}

interface Mark {
  readonly installation: string
  readonly name: string
  readonly revision: number
}

/** null: it is none. A line that was torn must not hide the others. */
function parseMark(line: string): Mark | null {
  if (line.trim() === '') return null
  try {
    const { installation, name, revision } = JSON.parse(line) as Record<string, unknown>
    const fits = typeof installation === 'string' && typeof name === 'string' && Number.isSafeInteger(revision)
    return fits ? { installation, name, revision: Number(revision) } : null
  } catch {
    return null
  }
}
