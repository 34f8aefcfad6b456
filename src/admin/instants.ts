// Ends and instants, as bodies give them and answers show them.
import { GatewayError } from '../errors/gateway-error.ts'

/** When something ends that is given either for how long or until when, ms since 1970; null: neither. */
export function endOf(
  { expiresIn, until }: { readonly expiresIn?: number | undefined; readonly until?: number | undefined },
  now: number,
): number | null {
  if (expiresIn !== undefined) return now + expiresIn
  if (until === undefined) return null
  if (until <= now) throw invalid('/until', 'must be in the future')
  return until
}

export function invalid(pointer: string, message: string): GatewayError {
  return new GatewayError('InvalidDescriptor', `${pointer.slice(1)}: ${message}`, { detail: [{ pointer, message }] })
}

export function instant(date: number): string {
  return new Date(date).toISOString()
}

export function instantOrNull(date: number | null): string | null {
  return date === null ? null : instant(date)
}
