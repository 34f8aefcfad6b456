// A bounded queue that one caller's flood does not shut to others: callers are served by turns, each in its own order of arrival,
// and where there is no place left the caller with the most makes room. Higher classes go first, and lower ones get their share.
import type { Priority } from '../model/caller.ts'

/** Who waits. */
export interface Waiter {
  readonly caller: string
  readonly priority: Priority
  readonly onTurn: () => void
  /** Its place went to a caller that has fewer. */
  readonly onPushedOut: () => void
}

export interface FairQueue {
  readonly length: number
  /** False: there is no place for it. */
  push(waiter: Waiter): boolean
  /** Whose turn it is; null: nobody waits. */
  shift(): Waiter | null
  /** False: it does not wait here any more. */
  delete(waiter: Waiter): boolean
}

/** Callers in order of their turns; of each those that wait, in order of arrival. */
type Line = Map<string, Set<Waiter>>

const CLASSES: readonly Priority[] = ['high', 'normal', 'low']
/** Which class goes first at a turn, if anybody waits in it; else the highest that has somebody. */
const TURNS: readonly Priority[] = ['high', 'high', 'normal', 'high', 'high', 'normal', 'high', 'low']

/** `places`: 0 for none. */
export function createFairQueue(places: number): FairQueue {
  const lines: Record<Priority, Line> = { high: new Map(), normal: new Map(), low: new Map() }
  let length = 0
  let turn = 0

  const waitingOf = (caller: string): number => CLASSES.reduce((sum, name) => sum + (lines[name].get(caller)?.size ?? 0), 0)
  const remove = (waiter: Waiter): boolean => {
    const line = lines[waiter.priority]
    const own = line.get(waiter.caller)
    if (!own?.delete(waiter)) return false
    if (own.size === 0) line.delete(waiter.caller)
    length--
    return true
  }
  /** The caller's that came last. */
  const lastOf = (caller: string): Waiter | undefined => {
    const own = CLASSES.findLast((name) => lines[name].has(caller))
    return own && [...(lines[own].get(caller) ?? [])].at(-1)
  }
  const makeRoomFor = (caller: string): boolean => {
    let greediest = caller
    let most = waitingOf(caller) + 1
    for (const name of CLASSES) {
      for (const other of lines[name].keys()) {
        const waiting = waitingOf(other)
        if (waiting > most) [greediest, most] = [other, waiting]
      }
    }
    const last = greediest === caller ? undefined : lastOf(greediest)
    if (last === undefined) return false
    remove(last)
    last.onPushedOut()
    return true
  }

  return {
    get length() {
      return length
    },
    push(waiter) {
      if (length >= places && !makeRoomFor(waiter.caller)) return false
      const line = lines[waiter.priority]
      const own = line.get(waiter.caller)
      if (own) own.add(waiter)
      else line.set(waiter.caller, new Set([waiter]))
      length++
      return true
    },
    shift() {
      if (length === 0) return null
      const preferred = TURNS[turn++ % TURNS.length] ?? 'high'
      const line = lines[preferred].size > 0 ? lines[preferred] : lines[CLASSES.find((name) => lines[name].size > 0) ?? 'low']
      for (const [caller, own] of line) {
        const [first] = own
        if (first === undefined) continue
        remove(first)
        // Its next turn comes after everybody else's.
        if (line.delete(caller)) line.set(caller, own)
        return first
      }
      return null
    },
    delete: remove,
  }
}
