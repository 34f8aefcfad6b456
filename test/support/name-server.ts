// A name server on loopback that says what a test tells it, for `dns.servers`. It knows A and AAAA and nothing else.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'

export interface NameServer {
  /** `127.0.0.1:port`, as `dns.servers` wants it. */
  readonly server: string
  /** Names asked for, in order. */
  readonly asked: readonly string[]
  /** From now on `name` leads to these; none: there is no such name. TTL 0, so that every new connection asks anew. */
  set(name: string, ...addresses: readonly string[]): void
  close(): Promise<void>
}

const A = 1
const AAAA = 28

/** `at`: default a free port of 127.0.0.1. */
export async function startNameServer(at = { address: '127.0.0.1', port: 0 }): Promise<NameServer> {
  const names = new Map<string, readonly string[]>()
  const asked: string[] = []
  const socket = createSocket('udp4', (question, from) => {
    const { name, type, end } = readQuestion(question)
    asked.push(name)
    const known = names.get(name)
    const addresses = known?.filter((address) => (isIPv4(address) ? A : AAAA) === type) ?? []
    const head = Buffer.from(question.subarray(0, 12))
    head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2) // an answer; 3: no such name
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(addresses.length, 6)
    head.writeUInt32BE(0, 8)
    socket.send(Buffer.concat([head, question.subarray(12, end), ...addresses.map(record)]), from.port, from.address)
  })
  socket.bind(at.port, at.address)
  await once(socket, 'listening')
  return {
    server: `${at.address}:${socket.address().port}`,
    asked,
    set: (name, ...addresses) => void (addresses.length === 0 ? names.delete(name) : names.set(name, addresses)),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

/** Takes every question and answers none. */
export async function startSilentNameServer(): Promise<{
  readonly server: string
  asked(): number
  close(): Promise<void>
}> {
  let asked = 0
  const socket = createSocket('udp4', () => void asked++)
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    server: `127.0.0.1:${socket.address().port}`,
    asked: () => asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 }
}

function record(address: string): Buffer {
  const data = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address)
  const head = Buffer.from([0xc0, 12, 0, isIPv4(address) ? A : AAAA, 0, 1, 0, 0, 0, 0, 0, data.length])
  return Buffer.concat([head, data])
}

/** Eight groups, `::` once, no dotted tail. */
function ipv6Bytes(address: string): Buffer {
  const [before = '', after = ''] = address.split('::')
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [head, tail] = [groups(before), groups(after)]
  const all = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]))
}
