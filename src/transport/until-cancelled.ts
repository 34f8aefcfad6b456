// Waits for something that cannot itself be stopped, but no longer than the call lasts.
import type { Cancellation } from '../model/cancellation.ts'

/** Rejects with the cancellation's reason if that comes first; what was waited for goes on unheard. */
export function untilCancelled<T>(promise: Promise<T>, cancellation: Cancellation): Promise<T> {
  if (cancellation.reason !== null) {
    promise.catch(() => {})
    return Promise.reject(cancellation.reason)
  }
  return new Promise((resolve, reject) => {
    const stopListening = cancellation.onCancel(reject)
    promise.then(resolve, reject).finally(stopListening)
  })
}
