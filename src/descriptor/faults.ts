// What is wrong with a descriptor, collected until it was read whole: a person who corrects it wants every fault at once.
import { GatewayError } from '../errors/gateway-error.ts'

type FaultType = 'InvalidDescriptor' | 'InvalidHeader'

/** As it stands in the error's `detail`. */
export interface Fault {
  /** RFC 6901; '' is the descriptor itself. */
  readonly pointer: string
  readonly message: string
}

export interface Faults {
  /** No more are taken: who reads a long list may stop. */
  full(): boolean
  any(): boolean
  /** `message` never repeats a value: it may be a secret. Default type InvalidDescriptor. */
  add(pointer: string, message: string, type?: FaultType): void
  /** InvalidHeader where nothing but headers is wrong. */
  toError(): GatewayError
}

const MAX_FAULTS = 100

export function createFaults(): Faults {
  const faults: Fault[] = []
  let firstOfShape: Fault | null = null
  let full = false
  return {
    full: () => full,
    any: () => faults.length > 0,
    add(pointer, message, type = 'InvalidDescriptor') {
      if (full) return
      const fault = { pointer, message }
      faults.push(fault)
      if (type === 'InvalidDescriptor') firstOfShape ??= fault
      full = faults.length === MAX_FAULTS
    },
    toError() {
      const first = firstOfShape ?? (faults[0] as Fault)
      const more = faults.length - 1
      const rest = more === 0 ? '' : ` (and ${full ? 'at least ' : ''}${more} more, see detail)`
      const type = firstOfShape === null ? 'InvalidHeader' : 'InvalidDescriptor'
      return new GatewayError(type, `${sentence(first)}${rest}`, { detail: faults })
    },
  }
}

/** The pointer as the path of keys that people know, then what is wrong. */
function sentence({ pointer, message }: Fault): string {
  return pointer === '' ? message : `${pointer.slice(1)}: ${message}`
}
