// An upstream in a process of its own: GET /{bytes}/{ms} answers so many bytes of JSON after so many ms. As much as the machine can.
import { createServer } from 'node:http'

const bodies = new Map<string, Buffer>()

function bodyOf(bytes: string): Buffer {
  const known = bodies.get(bytes)
  if (known) return known
  const rows: object[] = []
  for (let size = 12; size < Number(bytes); size += 35) rows.push({ id: rows.length, name: 'a row', on: true })
  const made = Buffer.from(JSON.stringify({ rows }))
  bodies.set(bytes, made)
  return made
}

const server = createServer((request, response) => {
  const [, bytes = '100', ms = '0'] = (request.url ?? '/').split('/')
  const answer = bodyOf(bytes)
  const send = (): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    response.end(answer)
  }
  if (ms === '0') send()
  else setTimeout(send, Number(ms))
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
