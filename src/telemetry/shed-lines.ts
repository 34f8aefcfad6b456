// What is said of calls that are shed: the first of a caller at an entrance has its own line, those after it one line a second
// with their number. A line each would cost most of what shedding saves. The metrics count every one.
import type { CallLine } from '../model/ports.ts'

export interface ShedCalls {
  readonly caller: string | null
  readonly entrance: string
  /** Beside those that had lines of their own. */
  readonly count: number
}

export interface ShedLines {
  /** False: this line is left out, and counted. */
  admit(call: CallLine): boolean
  /** Tells at once what was counted. */
  flush(): void
}

const EVERY_MS = 1000

/** Refused by the load guard, on the head or the size of the body, and by nobody else. */
function isShed({ rule, entrance, method }: CallLine): boolean {
  return rule === 'overload' && method === null && entrance !== 'admin'
}

export function createShedLines(tell: (calls: ShedCalls) => void): ShedLines {
  /** By caller and entrance, of those who were refused within the second: as few as are configured. */
  const kinds = new Map<string, { readonly caller: string | null; readonly entrance: string; count: number }>()
  let looks = false

  const sum = (): void => {
    for (const [key, kind] of kinds) {
      if (kind.count > 0) tell({ ...kind })
      else kinds.delete(key) // a second without any: the next is a first again
      kind.count = 0
    }
  }
  const look = (): void => {
    sum()
    looks = kinds.size > 0
    if (looks) setTimeout(look, EVERY_MS).unref()
  }

  return {
    admit(call) {
      if (!isShed(call)) return true
      const { caller, entrance } = call
      const key = `${entrance} ${caller}`
      const kind = kinds.get(key)
      if (kind) {
        kind.count++
        return false
      }
      kinds.set(key, { caller, entrance, count: 0 })
      if (!looks) setTimeout(look, EVERY_MS).unref()
      looks = true
      return true
    },
    flush: sum,
  }
}
