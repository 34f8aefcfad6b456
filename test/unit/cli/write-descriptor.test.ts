import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseCallItems } from '../../../src/cli/call-items.ts'
import { CliError } from '../../../src/cli/ports.ts'
import { type CallWishes, writeDescriptor } from '../../../src/cli/write-descriptor.ts'
import { parseDescriptor } from '../../../src/descriptor/parse-descriptor.ts'

const PLAIN: CallWishes = { form: false, files: [], timeout: undefined, retries: undefined, envelope: true }
const FILE = { name: 'f', filename: 'a.txt', content: Buffer.from('hi') }
const write = (items: readonly string[], wishes: Partial<CallWishes>): string => {
  const all = { ...PLAIN, ...wishes }
  return writeDescriptor(parseCallItems(['http://h/', ...items], { hasFiles: all.files.length > 0 }), all)
}

const WRITTEN: [name: string, items: string[], wishes: Partial<CallWishes>, text: string][] = [
  ['nothing but a URL', [], {}, '{"method":"GET","url":"http://h/"}'],
  ['the body as its own bytes', [], { envelope: false }, '{"method":"GET","url":"http://h/","decode":"base64"}'],
  [
    'headers and params, in order',
    ['B:1', 'A:', 'q==1', 'q==2'],
    {},
    '{"method":"GET","url":"http://h/","headers":[["B","1"],["A",null]],"params":[["q","1"],["q","2"]]}',
  ],
  [
    'JSON, numbers as typed',
    ['name=a"b', 'n:=2.0', 'big:=9007199254740993', '__proto__:={"a": null}'],
    {},
    '{"method":"POST","url":"http://h/","json":{"name":"a\\"b","n":2.0,"big":9007199254740993,"__proto__":{"a": null}}}',
  ],
  ['a form', ['a=1', 'a=2'], { form: true }, '{"method":"POST","url":"http://h/","data":[["a","1"],["a","2"]]}'],
  [
    'a file beside fields',
    ['a=1'],
    { files: [FILE] },
    '{"method":"POST","url":"http://h/","data":[["a","1"]],"files":[["f",{"filename":"a.txt","content":"aGk="}]]}',
  ],
  ['a timeout with its unit', [], { timeout: '3.05s' }, '{"method":"GET","url":"http://h/","timeout":"3.05s"}'],
  ['a timeout in milliseconds', [], { timeout: '250' }, '{"method":"GET","url":"http://h/","timeout":250}'],
  ['no retries', [], { retries: 0 }, '{"method":"GET","url":"http://h/","maxRetries":0}'],
]
describe('what is typed becomes a descriptor that the gateway takes', () => {
  for (const [name, items, wishes, text] of WRITTEN)
    test(name, () => {
      assert.equal(write(items, wishes), text)
      parseDescriptor(Buffer.from(text))
    })
})

const REFUSED: [name: string, items: string[], wishes: Partial<CallWishes>, message: RegExp][] = [
  ['JSON in a form', ['a:=1'], { form: true }, /"a:=" is JSON.*write a=value/],
  ['JSON beside a file', ['a:=1'], { files: [FILE] }, /"a:=" is JSON/],
  ['a JSON field given twice', ['a=1', 'a:=2'], {}, /"a" is given twice.*a:='\["a", "b"\]'/],
]
describe('what does not go together is refused', () => {
  for (const [name, items, wishes, message] of REFUSED)
    test(name, () => {
      assert.throws(
        () => write(items, wishes),
        (error) => error instanceof CliError && error.exitCode === 2 && message.test(error.message),
      )
    })
})
