// The key file while the gateway runs: a change of it becomes a change of the ring, unless a key would go that a stored secret
// is still under.
import { readFileSync } from 'node:fs'
import type { Logger } from '../../model/ports.ts'
import { type KeyRing, type KeySet, SealError } from '../key-ring.ts'
import { codeOf, followFile } from './followed-file.ts'
import { parseKeys } from './key-source.ts'

/** Names of what is sealed by the id of the key that it is under; null: not known now. */
export type KeysInUse = ReadonlyMap<string, readonly string[]> | null

export interface KeyFollower {
  /** True where the ring changed. Never rejects. */
  follow(inUse: () => Promise<KeysInUse>): Promise<boolean>
  /** Looks at once, since somebody sealed under a key that is not here; takes keys in, and leaves what goes to the next round. */
  followNow(): boolean
}

/** Keys of the environment stay as they are. */
export const FIXED_KEYS: KeyFollower = { follow: async () => false, followNow: () => false }

const MAX_NAMED = 20

export function createKeyFollower(file: string, ring: KeyRing, log: Logger): KeyFollower {
  const followed = followFile(file)
  /** What the file holds and the ring does not, while it is refused. */
  let refused: string | null = null
  let told = ''

  const refuse = (text: string, because: string): false => {
    refused = text
    if (told !== because) log.log('error', 'sealing keys refused, the old ones stand', { file, because })
    told = because
    return false
  }
  const put = (next: KeySet): boolean => {
    const changed = !isSame(ring, next)
    ring.replace(next)
    refused = null
    told = ''
    if (changed) log.log('info', 'sealing keys changed', { file, key: next.active, count: next.keys.length })
    return changed
  }
  const take = async (text: string, inUse: () => Promise<KeysInUse>): Promise<boolean> => {
    try {
      const next = parseKeys(text, file)
      const gone = goneFrom(ring, next)
      const because = gone.length === 0 ? null : whyKept(gone, await inUse())
      return because === null ? put(next) : refuse(text, because)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      return refuse(text, error.message)
    }
  }

  return {
    async follow(inUse) {
      try {
        // A refused file is asked about again: what kept a key may be sealed anew by now.
        const text = (await followed.changed()) ?? refused
        return text !== null && (await take(text, inUse))
      } catch (error) {
        return refuse('', `it cannot be read (${codeOf(error)})`)
      }
    },
    followNow() {
      try {
        const next = parseKeys(readFileSync(file, 'utf8'), file)
        return goneFrom(ring, next).length === 0 && put(next)
      } catch {
        return false // the next round says why
      }
    },
  }
}

const isSame = (ring: KeyRing, { keys, active }: KeySet): boolean =>
  ring.active.id === active && ring.ids.length === keys.length && keys.every(({ id, key }) => ring.find(id)?.key.equals(key))

/** Ids of the keys that would go, or be others. */
const goneFrom = (ring: KeyRing, { keys }: KeySet): string[] =>
  ring.ids.filter((id) => !keys.some((key) => key.id === id && ring.find(id)?.key.equals(key.key)))

/** null: none of them is needed. */
function whyKept(gone: readonly string[], used: KeysInUse): string | null {
  if (used === null) return `the key ${gone.join(', ')} cannot be left out while the secret store is away`
  const [id] = gone.filter((each) => used.has(each))
  if (id === undefined) return null
  const names = used.get(id) ?? []
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''
  return `it no longer holds key "${id}", under which are still: ${names.slice(0, MAX_NAMED).join(', ')}${more}; put the key back and run "sallyport secrets rekey"`
}
