// The list: one line a scheme.
import type { SecretScheme } from '../../model/ports.ts'
import type { Scheme } from '../scheme.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { digest } from './digest.ts'
import { header } from './header.ts'
import { mtls } from './mtls.ts'
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
}
