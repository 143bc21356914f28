// The TCP ports of a cloud. WireGuard's is with the number plan (topology/ranges.ts).

/** EC2, STS and S3 for users. */
export const API_PORT = 8773
/** Sessions and image bytes between agents and their parents, mutual TLS. */
export const SESSION_PORT = 8774
/** Join and check, by token: the caller has no certificate yet. */
export const JOIN_PORT = 8775
/** Between gateways of peer clouds, mutual TLS with each other's pinned CAs. */
export const PEERING_PORT = 8776
/** Health, metrics and the console. */
export const ADMIN_PORT = 8443
/** Volumes, in a rack's storage network (IANA's iscsi-target, RFC 7143). */
export const ISCSI_PORT = 3260
