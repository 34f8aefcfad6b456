// The product's version as it is shown to upstreams and operators. A constant, so that pure rooms may use it; a test holds
// it against package.json.
export const VERSION = '0.1.0'
