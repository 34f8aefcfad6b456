// The gateway's own ports, which it never dials, under whichever of this machine's addresses they are reached.
import { networkInterfaces } from 'node:os'
import type { OwnListeners } from '../model/ports.ts'
import { canonicalAddress } from '../policy/address-rules.ts'

const isUnspecified = (address: string): boolean => address === '0.0.0.0' || address === '::'

interface OwnListenerList extends OwnListeners {
  add(bound: { readonly address: string; readonly port: number }): void
}

export function createOwnListeners(): OwnListenerList {
  const listeners: { readonly address: string; readonly port: number }[] = []
  const isLocal = (address: string): boolean =>
    address.startsWith('127.') ||
    address === '::1' ||
    Object.values(networkInterfaces()).some((interfaces) => interfaces?.some((own) => canonicalAddress(own.address) === address))
  return {
    add: (bound) => void listeners.push(bound),
    // A connection to the unspecified address is one to loopback.
    has: (address, port) =>
      listeners.some(
        (bound) =>
          bound.port === port &&
          (bound.address === address || isUnspecified(address) || (isUnspecified(bound.address) && isLocal(address))),
      ),
  }
}
