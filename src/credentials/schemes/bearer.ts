// RFC 6750 §2.1.
import { defineScheme, headerValue } from '../scheme.ts'
import { staticHeader } from '../static-injection.ts'

export const bearer = defineScheme({
  name: 'bearer',
  place: 'request',
  about: '`Authorization: Bearer` (RFC 6750)',
  example: { token: '…' },
  fields: { token: headerValue.min(1, 'must not be empty') },
  open: ({ token }) => staticHeader('Authorization', `Bearer ${token}`, 'Bearer ***'),
})
