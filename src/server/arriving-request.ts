// A request as Node has it, that also says when all of it has arrived. Node's own events say so only to who reads the stream, at
// the cost of some turns of its queues for each request.
import { IncomingMessage } from 'node:http'

export class ArrivingRequest extends IncomingMessage {
  /** Called once its last byte is in the stream's buffer, unless that was before. */
  onWhole: (() => void) | null = null

  /** How HTTP's parser hands over what it reads; null: there is no more. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    const more = super.push(chunk, encoding)
    if (chunk === null) this.onWhole?.()
    return more
  }
}
