// X-Sallyport-Timeout: how long the caller itself still waits, counted from when its request head arrived.
import type { IncomingHttpHeaders } from 'node:http'
import { GatewayError } from '../errors/gateway-error.ts'
import { parseDuration, type Reading } from '../model/units.ts'

const NAME = 'x-sallyport-timeout'

/** null: there is no such header, or it says nothing that can be understood. */
export function timeLeftOf(headers: IncomingHttpHeaders): number | null {
  const reading = read(headers)
  return reading?.ok ? reading.value : null
}

/** Throws nothing: returns InvalidHeader where the header is there and is no duration. */
export function refuseTimeLeft(headers: IncomingHttpHeaders): GatewayError | null {
  const reading = read(headers)
  if (reading === null || reading.ok) return null
  const message = `X-Sallyport-Timeout ${reading.fault}`
  return new GatewayError('InvalidHeader', message, { detail: [{ pointer: '', message }] })
}

/** A duration as everywhere, contract "Units and JSON". 0: the caller has stopped waiting. */
function read(headers: IncomingHttpHeaders): Reading<number> | null {
  const given = headers[NAME]
  if (given === undefined) return null
  const text = String(given)
  return parseDuration(/^\d{1,15}$/.test(text) ? Number(text) : text)
}
