// RFC 7617.
import { basicCredentials } from '../basic-encoding.ts'
import { anyText, defineScheme } from '../scheme.ts'
import { staticHeader } from '../static-injection.ts'

export const basic = defineScheme({
  name: 'basic',
  place: 'request',
  about: '`Authorization: Basic`, latin-1 where it fits, else UTF-8 (RFC 7617)',
  example: { username: 'billing', password: '…' },
  fields: { username: anyText, password: anyText },
  open: ({ username, password }) => staticHeader('Authorization', basicCredentials(username, password), 'Basic ***'),
})
