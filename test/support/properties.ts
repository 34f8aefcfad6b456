// Loaded before every test file: property tests draw the same cases each time, so that a red run can be run again. Others are
// drawn with PROPERTY_SEED=random, or any whole number, which a failing property prints.
import fc from 'fast-check'

const given = process.env.PROPERTY_SEED ?? '20260101'
if (given !== 'random') fc.configureGlobal({ seed: Number(given) })
