// Every operation of the admin entrance, joined.
import { type AdaptersPorts, createAdapterOperations } from './adapters.ts'
import { type AuditPorts, createAuditOperations } from './audit.ts'
import { type CallersPorts, createCallerOperations } from './callers.ts'
import type { Operations } from './operation.ts'
import { createProcessOperations, type ProcessPorts } from './process.ts'
import { createSecretOperations, type SecretsPorts } from './secrets.ts'

type OperationsPorts = AdaptersPorts & AuditPorts & CallersPorts & ProcessPorts & SecretsPorts

export function createOperations(ports: OperationsPorts): Operations {
  return {
    ...createAdapterOperations(ports),
    ...createAuditOperations(ports),
    ...createCallerOperations(ports),
    ...createProcessOperations(ports),
    ...createSecretOperations(ports),
  }
}
