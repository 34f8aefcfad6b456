// `auth`: a stored secret by name, or credentials given with the call. No message ever repeats one.
import type { JsonNode } from '../json/parse-json.ts'
import type { DescriptorAuth } from '../model/descriptor.ts'
import type { Faults } from './faults.ts'
import { headerValueFault, ownHeaderNameFault } from './header-rules.ts'
import { isObject, readRecord } from './read-node.ts'
import { AUTH_SCHEMAS, secretAuthSchema } from './schema.ts'

type AuthType = keyof typeof AUTH_SCHEMAS

const TYPES = Object.keys(AUTH_SCHEMAS).join(', ')
/** RFC 7617 §2 allows no control character in a login; in a digest's quoted strings one would end the header. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/

export function readAuth(node: JsonNode, pointer: string, faults: Faults): DescriptorAuth | null | undefined {
  if (node === null) return null
  const schema = chooseSchema(node, pointer, faults)
  if (schema === undefined) return undefined
  const record = readRecord(schema, node, pointer, faults) as Partial<Record<string, string>>
  let complete = true
  for (const key of Object.keys(schema.shape)) {
    if (record[key] !== undefined) continue
    complete = false
    if (!isObject(node) || !node.members.some(([name, value]) => name === key && value !== null)) {
      faults.add(`${pointer}/${key}`, 'is missing')
    }
  }
  if (!complete) return undefined
  const auth = record as unknown as DescriptorAuth
  judgeAuth(auth, pointer, faults)
  return auth
}

function chooseSchema(node: JsonNode, pointer: string, faults: Faults) {
  const members = isObject(node) ? node.members : []
  if (members.some(([name]) => name === 'secret')) return secretAuthSchema
  const type = members.find(([name]) => name === 'type')?.[1] ?? null
  if (typeof type === 'string' && Object.hasOwn(AUTH_SCHEMAS, type)) return AUTH_SCHEMAS[type as AuthType]
  if (type === null) faults.add(pointer, `must be {"secret": NAME}, null, or have a type: ${TYPES}`)
  else faults.add(`${pointer}/type`, `must be one of ${TYPES}`)
  return undefined
}

function judgeAuth(auth: DescriptorAuth, pointer: string, faults: Faults): void {
  const judge = (key: string, fault: string | null): void => {
    if (fault !== null) faults.add(`${pointer}/${key}`, fault, 'InvalidHeader')
  }
  if ('secret' in auth) return
  switch (auth.type) {
    case 'basic':
    case 'digest':
      judge('username', loginFault(auth.username))
      judge('password', loginFault(auth.password))
      return
    case 'bearer':
      judge('token', auth.token === '' ? 'must not be empty' : headerValueFault(auth.token))
      return
    case 'header':
      judge('name', ownHeaderNameFault(auth.name))
      judge('value', headerValueFault(auth.value))
      return
    case 'query':
      if (auth.name === '') faults.add(`${pointer}/name`, 'must not be empty')
      return
    default:
      auth satisfies never
  }
}

/** What the login becomes is encoded, so that any other character and leading white space may stand in it. */
function loginFault(text: string): string | null {
  return CONTROL.test(text) ? 'must not hold a control character' : null
}
