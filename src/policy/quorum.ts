// When replicas are believed about a host that a replica has not met itself: more than half of those alive, and never one alone.
// A replica whose own network is broken can so shut nobody but itself.

export function isQuorum(votes: number, live: number): boolean {
  return votes >= 2 && votes * 2 > live
}
