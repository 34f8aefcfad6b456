// The one way to let time pass inside a call: ends with the wait or with the call, whichever is first.
import type { Cancellation } from './cancellation.ts'
import type { Clock } from './ports.ts'

/** Rejects with the cancellation's reason if the call ends first. */
export function wait(clock: Clock, ms: number, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopTimer = clock.after(ms, () => {
      stopListening()
      resolve()
    })
    const stopListening = cancellation.onCancel((reason) => {
      stopTimer()
      reject(reason)
    })
  })
}

/** The outcome of what is shared with other calls and goes on without this one; rejects with the cancellation's reason if the call ends first. */
export function unlessCancelled<T>(shared: Promise<T>, cancellation: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopListening = cancellation.onCancel(reject)
    shared.then(resolve, reject).finally(stopListening)
  })
}
