// The list: one line a scheme.
import type { SecretScheme } from '../../model/ports.ts'
import type { Scheme } from '../scheme.ts'
import { awsSigV4 } from './aws-sigv4.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { digest } from './digest.ts'
import { header } from './header.ts'
import { hmac } from './hmac.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { mtls } from './mtls.ts'
import { oauth2ClientCredentials } from './oauth2-client-credentials.ts'
import { oauth2RefreshToken } from './oauth2-refresh-token.ts'
import { placeholder } from './placeholder.ts'
import { proxyBasic } from './proxy-basic.ts'
import { query } from './query.ts'

export const SCHEMES: Readonly<Record<SecretScheme, Scheme>> = {
  basic,
  bearer,
  digest,
  header,
  query,
  'proxy-basic': proxyBasic,
  mtls,
  'aws-sigv4': awsSigV4,
  hmac,
  'oauth2-client-credentials': oauth2ClientCredentials,
  'oauth2-refresh-token': oauth2RefreshToken,
  'jwt-bearer': jwtBearer,
  placeholder,
}
