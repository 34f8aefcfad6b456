// The key file while the gateway runs: a change of it becomes a change of the ring, unless a key would go that a stored secret
// is still under.
import { readFileSync } from 'node:fs'
import type { Logger } from '../../model/ports.ts'
import { type KeyRing, type KeySet, SealError } from '../key-ring.ts'
import { codeOf, followFile } from './followed-file.ts'
import { parseKeys } from './key-source.ts'

/** Names of secrets by the id of the key that they are under; null: not known now. */
export type KeysInUse = ReadonlyMap<string, readonly string[]> | null

export interface KeyFollower {
  /** True where the ring changed. Never rejects. */
  follow(inUse: () => KeysInUse): Promise<boolean>
  /** Looks at once: somebody sealed under a key that is not here. */
  followNow(inUse: () => KeysInUse): boolean
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
  const take = (text: string, inUse: () => KeysInUse): boolean => {
    try {
      const next = parseKeys(text, file)
      const because = whyKept(ring, next, inUse)
      if (because !== null) return refuse(text, because)
      const changed = !isSame(ring, next)
      ring.replace(next)
      refused = null
      told = ''
      if (changed) log.log('info', 'sealing keys changed', { file, key: next.active, count: next.keys.length })
      return changed
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
        return text !== null && take(text, inUse)
      } catch (error) {
        return refuse('', `it cannot be read (${codeOf(error)})`)
      }
    },
    followNow(inUse) {
      try {
        return take(readFileSync(file, 'utf8'), inUse)
      } catch (error) {
        return refuse('', `it cannot be read (${codeOf(error)})`)
      }
    },
  }
}

const isSame = (ring: KeyRing, { keys, active }: KeySet): boolean =>
  ring.active.id === active && ring.ids.length === keys.length && keys.every(({ id, key }) => ring.find(id)?.key.equals(key))

/** null: no key goes that is needed. */
function whyKept(ring: KeyRing, { keys }: KeySet, inUse: () => KeysInUse): string | null {
  const gone = ring.ids.filter((id) => !keys.some((key) => key.id === id && ring.find(id)?.key.equals(key.key)))
  if (gone.length === 0) return null
  const used = inUse()
  if (used === null) return `the key ${gone.join(', ')} cannot be left out while the secret store is away`
  const [id] = gone.filter((each) => used.has(each))
  if (id === undefined) return null
  const names = used.get(id) ?? []
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''
  return `it no longer holds key "${id}", under which are still: ${names.slice(0, MAX_NAMED).join(', ')}${more}; put the key back and run "sallyport secrets rekey"`
}
