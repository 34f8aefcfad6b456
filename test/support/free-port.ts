// A port on which nobody listens: for a server that is told its port, or for a call that is to be refused. It lies below the range out of
// which the kernel gives ports to outgoing connections and to whoever asks for any, so that none of them gets it by chance meanwhile.
import { once } from 'node:events'
import { createServer } from 'node:net'

const FROM = 10_240
const TO = 22_240
/** Where a node of a Redis cluster also listens, unless told otherwise. */
const CLUSTER_BUS = 10_000

/** Of 127.0.0.1; the port 10,000 above it is free as well, and as safe. Throws where a hundred of them are taken. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM))
    if ((await isFree(port)) && (await isFree(port + CLUSTER_BUS))) return port
  }
  throw new Error(`no free port between ${FROM} and ${TO}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
