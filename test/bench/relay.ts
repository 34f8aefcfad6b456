// The baseline: node:http and undici and nothing else. Takes a descriptor, makes the call, answers with status, headers and text.
// No validation, no policy, no limits, no record: what any gateway in Node must cost at least.
import { createServer } from 'node:http'
import { Agent, request as send } from 'undici'

const agent = new Agent({ connections: 1024, pipelining: 1 })

const server = createServer((incoming, response) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', async () => {
    try {
      const { url, method = 'GET', headers, json } = JSON.parse(Buffer.concat(chunks).toString())
      const answer = await send(url, {
        dispatcher: agent,
        method,
        headers: json === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: json === undefined ? null : JSON.stringify(json),
      })
      const text = await answer.body.text()
      const body = Buffer.from(JSON.stringify({ status: answer.statusCode, headers: answer.headers, text }))
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      response.end(body)
    } catch (error) {
      response.writeHead(502).end(String(error))
    }
  })
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
