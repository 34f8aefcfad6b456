/** How long a claim whose owner never told is remembered as lost after its lease: the contract's idempotencyTtl, 24 h. */
export const RETAIN_LOST_MS = 86_400_000
