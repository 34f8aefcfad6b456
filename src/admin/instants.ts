// Ends and instants, as bodies give them and answers show them.
import { GatewayError } from '../errors/gateway-error.ts'

/**
 * When something ends that a body gives either for how long or, under the key `name`, until when; ms since 1970.
 * null: it gives neither.
 */
export function endOf<Name extends 'until' | 'expiresAt'>(
  body: { readonly expiresIn?: number | undefined } & { readonly [N in Name]?: number | undefined },
  name: Name,
  now: number,
): number | null {
  if (body.expiresIn !== undefined) return now + body.expiresIn
  const until: number | undefined = body[name]
  if (until === undefined) return null
  if (until <= now) throw invalid(`/${name}`, 'must be in the future')
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
