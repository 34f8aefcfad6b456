// The upstream of the benchmark where there is no nginx: answers /{bytes} with a JSON document of about that size; with an argument, after so many milliseconds.
import { createServer } from 'node:http'
import { documentOf } from './document.ts'

const waitMs = Number(process.argv[2] ?? 0)
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
  const soon = waitMs > 0 ? () => setTimeout(send, waitMs) : send
  if (request.method === 'GET') soon()
  else request.resume().on('end', soon)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
