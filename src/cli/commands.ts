// The sub-commands beside `serve`, together: what a gateway has no need to load.
import type { Command } from 'commander'
import { addAuditCommands } from './audit-commands.ts'
import { addCallCommand } from './call-command.ts'
import { addCallerCommands } from './caller-commands.ts'
import { addConfigCommands } from './config-commands.ts'
import { addKeyCommands } from './key-commands.ts'
import type { CliPorts } from './ports.ts'
import { addSecretCommands } from './secret-commands.ts'

export function addCommands(program: Command, ports: CliPorts): void {
  addCallCommand(program, ports)
  addConfigCommands(program, ports)
  addSecretCommands(program, ports)
  addCallerCommands(program, ports)
  addKeyCommands(program, ports)
  addAuditCommands(program, ports)
}
