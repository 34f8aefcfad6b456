// Two relays behind one port, as two workers are: what a second process costs where it shares the machine with all others.
import cluster from 'node:cluster'
import { join } from 'node:path'

const RELAYS = 2

cluster.setupPrimary({ exec: join(import.meta.dirname, 'relay.ts'), args: [] })
let listening = 0
cluster.on('listening', (_, { port }) => {
  if (++listening === RELAYS) process.send?.({ port })
})
for (let index = 0; index < RELAYS; index++) cluster.fork()
process.on('disconnect', () => process.exit(0))
