// The end of a stack in unit tests: asked for the n-th time it answers with the n-th line of its script.
import type { CallContext } from '../../src/model/call-context.ts'
import type { Dispatch } from '../../src/model/dispatch.ts'
import type { HopRequest } from '../../src/model/hop.ts'
import type { UpstreamResponse } from '../../src/model/upstream-response.ts'

/** An error is thrown; a function is called; the last line stands for all that follow. */
export type ScriptLine = UpstreamResponse | Error | ((request: HopRequest, context: CallContext) => Promise<UpstreamResponse>)

export interface ScriptedDispatch {
  readonly dispatch: Dispatch
  readonly asked: readonly HopRequest[]
}

export function scripted(...lines: readonly ScriptLine[]): ScriptedDispatch {
  const asked: HopRequest[] = []
  return {
    asked,
    async dispatch(request, context) {
      const line = lines[Math.min(asked.length, lines.length - 1)]
      asked.push(request)
      if (line === undefined) throw new Error('the script is empty')
      if (line instanceof Error) throw line
      return typeof line === 'function' ? line(request, context) : line
    },
  }
}

/** An upstream that answers when the test says so, and gives up when its call is cancelled. */
export function held(): { readonly line: ScriptLine; answer(response: UpstreamResponse): void; fail(error: Error): void } {
  const waiting: { resolve: (response: UpstreamResponse) => void; reject: (error: Error) => void }[] = []
  return {
    line: (_, context) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        context.cancellation.onCancel(reject)
      }),
    answer: (response) => waiting.shift()?.resolve(response),
    fail: (error) => waiting.shift()?.reject(error),
  }
}

/** What became of a promise, without waiting for it. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: unknown; done: boolean } {
  const seen: { value?: T; error?: unknown; done: boolean } = { done: false }
  promise.then(
    (value) => Object.assign(seen, { value, done: true }),
    (error: unknown) => Object.assign(seen, { error, done: true }),
  )
  return seen
}
