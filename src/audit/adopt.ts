// What the command line makes as root in the data folder must stay readable for the gateway, which is not root.
import { chownSync, statSync } from 'node:fs'

/** Gives `path` to the owner of `folder`, where this process may. */
export function adopt(path: string, folder: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(folder)
  chownSync(path, uid, gid)
}
