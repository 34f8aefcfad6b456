// multipart/form-data as urllib3's encode_multipart_formdata writes it for Requests: the fields first, then the files.
import type { FilePart, Pairs } from '../model/descriptor.ts'
import { wellFormed } from './quote.ts'

/** urllib3 sets these three itself and passes over what a part's own headers say under the same spelling. */
const OWN = new Set(['Content-Disposition', 'Content-Type', 'Content-Location'])

/** @param boundary random, so that no part can contain it; plain ASCII. */
export function encodeMultipart(fields: Pairs, files: readonly FilePart[], boundary: string): Buffer {
  const pieces: Uint8Array[] = []
  const open = (head: string): number => pieces.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`))
  const close = Buffer.from('\r\n')
  for (const [name, value] of fields) {
    if (value === null) continue
    open(disposition(wellFormed(name, '/data'), null))
    pieces.push(Buffer.from(wellFormed(value, '/data')), close)
  }
  for (const file of files) {
    open(wellFormed(partHead(file), '/files'))
    pieces.push(file.content, close)
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`))
  return Buffer.concat(pieces)
}

function partHead(file: FilePart): string {
  let head = disposition(file.name, file.filename)
  if (file.contentType) head += `\r\nContent-Type: ${file.contentType}`
  for (const [name, value] of file.headers) {
    if (value !== '' && !OWN.has(name)) head += `\r\n${name}: ${value}`
  }
  return head
}

function disposition(name: string, filename: string | null): string {
  const filenamePart = filename === null ? '' : `; filename="${escapeParameter(filename)}"`
  return `Content-Disposition: form-data; name="${escapeParameter(name)}"${filenamePart}`
}

/** The three characters that would end the value or the line; nothing else is touched (WHATWG HTML, multipart/form-data). */
function escapeParameter(text: string): string {
  return text.replace(/["\r\n]/g, (found) => (found === '"' ? '%22' : found === '\r' ? '%0D' : '%0A'))
}
