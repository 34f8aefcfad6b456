// A small file that others write: read anew when it is another than before. It is looked at by asking, not by being told, so
// that replaced files and swapped links are seen as well.
import { readFile, stat } from 'node:fs/promises'

export interface FollowedFile {
  /** Its text where it changed since the last answer; null: it did not. '' where there is none. Rejects where it cannot be read. */
  changed(): Promise<string | null>
}

export function followFile(file: string): FollowedFile {
  let seen: string | null = null
  return {
    async changed() {
      const now = await signatureOf(file)
      if (now === seen) return null
      const text = now === '' ? '' : await readFile(file, 'utf8')
      seen = now
      return text
    },
  }
}

async function signatureOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(file)
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  }
}

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown error'
