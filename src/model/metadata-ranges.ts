// The metadata services of the clouds: the configuration warns of them, the connector refuses them.

/** Where clouds answer with credentials. No range in `egress.allow` opens these, however wide. */
export const METADATA_RANGES: readonly string[] = [
  '169.254.169.0/24', // AWS, Google, Azure, Oracle, DigitalOcean, OpenStack; AWS' resolver and clock beside it
  '169.254.170.0/24', // AWS ECS and EKS
  '169.254.0.23/32', // Tencent
  '169.254.10.10/32', // Tencent
  '169.254.42.42/32', // Scaleway
  '100.100.100.200/32', // Alibaba
  '168.63.129.16/32', // Azure's platform host, although global by its number
  '192.0.0.192/32', // Oracle Classic
  'fd00:ec2::/32', // AWS: fd00:ec2::254, ::23, ::253
  'fd20:ce::254/128', // Google
  'fd00:42::42/128', // Scaleway
  'fe80::a9fe:a9fe/128', // OpenStack
]
