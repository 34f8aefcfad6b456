// The upstream of the benchmark where there is no nginx: answers GET /{bytes} with a JSON document of about that size, POST with a short one.
import { createServer } from 'node:http'
import { documentOf } from './document.ts'

const bodies = new Map<string, Buffer>()

const server = createServer((request, response) => {
  const key = request.url ?? '/'
  let answer = bodies.get(key)
  if (!answer) {
    answer = documentOf(Number(key.slice(1).split('?')[0]) || 100)
    bodies.set(key, answer)
  }
  const send = (): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    response.end(answer)
  }
  if (request.method === 'GET') send()
  else request.resume().on('end', send)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
