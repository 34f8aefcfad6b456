// A reverse proxy from the shelf: fastify and @fastify/reply-from, without a policy, an envelope or a log line. For comparison only.
//   the argument: the origin that every request goes to

import replyFrom from '@fastify/reply-from'
import fastify from 'fastify'

const base = process.argv[2]
if (base === undefined) throw new Error('reply-from.ts wants the origin of the upstream')

const app = fastify()
app.register(replyFrom, { base, undici: { connections: 128, pipelining: 1 } })
app.get('/*', (request, reply) => reply.from(request.url))
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
process.send?.({ port: Number(port) })
process.on('disconnect', () => process.exit(0))
