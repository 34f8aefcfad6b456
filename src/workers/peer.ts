// Questions and answers between a primary and its workers, over the channel that Node gives them. What goes over it is cloned;
// errors that somebody reads keep their kind.
import { ConfigError, type Fault } from '../config/faults.ts'
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError } from '../errors/gateway-error.ts'

type Question<Answer> = Answer extends (question: infer Q) => unknown ? Q : never
type Answered<Answer> = Answer extends (question: never) => infer A ? Awaited<A> : never

/** `Remote`: what the other side can be asked, a table of functions of one argument each. */
export interface Peer<Remote> {
  /** Rejects with the other side's error, or with Overloaded once it is gone. */
  ask<K extends keyof Remote & string>(kind: K, question: Question<Remote[K]>): Promise<Answered<Remote[K]>>
  /** Nothing will be answered any more. */
  lost(): void
}

export interface Channel {
  send?(message: unknown): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
}

type Wired =
  | { readonly is: 'ask'; readonly number: number; readonly kind: string; readonly question: unknown }
  | { readonly is: 'answer'; readonly number: number; readonly answer: unknown }
  | { readonly is: 'error'; readonly number: number; readonly error: WiredError }

/** An error that somebody reads, as it goes from process to process. */
export interface WiredError {
  readonly message: string
  readonly type?: ErrorType
  readonly retryAfter?: number
  readonly rule?: GatewayError['rule']
  readonly detail?: unknown
  readonly faults?: readonly Fault[]
}

export function createPeer<Remote>(channel: Channel, given: object): Peer<Remote> {
  const answers = given as Readonly<Record<string, ((question: unknown) => unknown) | undefined>>
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let asked = 0
  let gone = false
  /** What is said in one turn of the event loop goes as one message: each costs both sides a trip through the kernel. */
  let outbox: Wired[] = []
  const send = (message: Wired): void => {
    if (outbox.push(message) === 1) process.nextTick(post)
  }
  const post = (): void => {
    const wired = outbox
    outbox = []
    channel.send?.({ sallyport: wired })
  }

  const answer = async (number: number, kind: string, question: unknown): Promise<void> => {
    try {
      send({ is: 'answer', number, answer: await answers[kind]?.(question) })
    } catch (error) {
      send({ is: 'error', number, error: toWire(error) })
    }
  }

  const take = (wired: Wired): void => {
    if (wired.is === 'ask') return void answer(wired.number, wired.kind, wired.question)
    const ask = waiting.get(wired.number)
    waiting.delete(wired.number)
    if (wired.is === 'answer') ask?.resolve(wired.answer)
    else ask?.reject(fromWire(wired.error))
  }

  channel.on('message', (message) => {
    if (isOurs(message)) for (const wired of message.sallyport) take(wired)
  })

  return {
    ask(kind, question) {
      if (gone) return Promise.reject(away())
      const ask = Promise.withResolvers<unknown>()
      asked++
      waiting.set(asked, ask)
      send({ is: 'ask', number: asked, kind, question })
      return ask.promise as Promise<never>
    },
    lost() {
      gone = true
      for (const { reject } of waiting.values()) reject(away())
      waiting.clear()
    },
  }
}

function isOurs(message: unknown): message is { readonly sallyport: readonly Wired[] } {
  return typeof message === 'object' && message !== null && 'sallyport' in message
}

export function toWire(error: unknown): WiredError {
  if (error instanceof ConfigError) return { message: error.message, faults: error.faults }
  if (!(error instanceof GatewayError)) return { message: error instanceof Error ? error.message : 'unexpected fault' }
  const { message, type, retryAfter, rule, detail } = error
  return { message, type, rule, detail, ...(retryAfter === undefined ? {} : { retryAfter }) }
}

export function fromWire({ message, type, faults, retryAfter, rule, detail }: WiredError): Error {
  if (faults) return new ConfigError(faults)
  if (type === undefined) return new Error(message)
  return new GatewayError(type, message, {
    detail,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(rule ? { rule } : {}),
  })
}

export function away(): GatewayError {
  return new GatewayError('Overloaded', 'The process that was asked has ended; try again.', { retryAfter: 1000 })
}
