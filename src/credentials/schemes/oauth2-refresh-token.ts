// RFC 6749 §6: access tokens for what somebody has granted once, by refresh tokens that may rotate. A client without a secret is
// a public one.

import { renewByRefreshToken } from '../renew-by-refresh-token.ts'
import { defineScheme, oneOf, optional, plainText } from '../scheme.ts'
import { openTokenCredential } from '../token.ts'
import { clientAuthentication, formOf, scope, tokenUrl } from '../token-fields.ts'

export const oauth2RefreshToken = defineScheme({
  name: 'oauth2-refresh-token',
  place: 'request',
  about: 'an access token for what somebody has granted once (RFC 6749 §6), as `Authorization: Bearer`',
  example: { tokenUrl: 'https://login.crm.example/oauth/token', clientId: 'billing', refreshToken: '…', clientSecret: '…' },
  fields: {
    tokenUrl,
    clientId: plainText.min(1, 'must not be empty'),
    refreshToken: plainText.min(1, 'must not be empty'),
    clientSecret: optional(plainText),
    clientAuth: oneOf('basic', 'body'),
    scope,
  },
  open({ tokenUrl: url, refreshToken: first, scope, ...client }) {
    const { own, basic } = clientAuthentication(client)
    return openTokenCredential(
      'oauth2-refresh-token',
      renewByRefreshToken(first, (refreshToken) => ({
        url,
        form: formOf({ grant_type: 'refresh_token', refresh_token: refreshToken, ...own, scope }, ''),
        basic,
        once: true,
      })),
    )
  },
})
