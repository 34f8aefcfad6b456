// Preloaded into a gateway under measurement: counts its decryptions, and tells on request over the process' channel.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

const decrypt = crypto.createDecipheriv
let decryptions = 0

crypto.createDecipheriv = ((...given: Parameters<typeof decrypt>) => {
  decryptions++
  return decrypt(...given)
}) as typeof decrypt
syncBuiltinESMExports()

process.on('message', (message) => {
  if (message === 'decryptions') process.send?.({ decryptions })
})
process.channel?.unref()
