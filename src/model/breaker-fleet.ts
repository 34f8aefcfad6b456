// The breakers of one host on several replicas, as each of them sees the others.

/** A breaker as the fleet sees it. */
export interface FleetMember {
  /** Open or half-open by what it saw itself. */
  tripped(): boolean
  /** Half-open, and a call would have been its probe since it was last asked. */
  wantsProbe(): boolean
  /** Opens for its open time, unless it is not closed anyway. */
  open(): void
  /** Closes, unless it is closed. */
  close(): void
}

export interface FleetSeat {
  /** False: another replica's probes decide for all. */
  mayProbe(): boolean
  /** Its own probes closed it. */
  recovered(): void
  leave(): void
}

export interface BreakerFleet {
  join(adapter: string, origin: string, member: FleetMember): FleetSeat
  /** Replicas that were there lately, as far as is known, this one included. */
  live(): number
  close(): void
}
