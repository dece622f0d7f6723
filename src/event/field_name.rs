//! The words on the wire: every field name that events of the seed era carry, so that no other file spells them.
//!
//! From Teleport `lib/events/api.go`, 2.4 to 4.3. A name that several events use with the same meaning stands once.

/// The event's name, for example `session.start`; the only field, with [`TIME`], that every event has.
pub const EVENT: &str = "event";
/// When it happened, RFC 3339 in UTC.
pub const TIME: &str = "time";
/// The event's unique id, from 3.1.9 and 3.2.0 on. Two copies of one event may differ in it (FORMAT 2).
pub const UID: &str = "uid";
/// The event's code, from 3.2.3 on.
pub const CODE: &str = "code";
/// A cursor given out by readers, never stored.
pub const ID: &str = "id";

/// Session ID.
pub const SID: &str = "sid";
/// Event index: the place among the session's events, from 0.
pub const EI: &str = "ei";
/// Chunk index: the place among the session's print events, from 0.
pub const CI: &str = "ci";
/// Print event: byte offset in the stream.
pub const OFFSET: &str = "offset";
/// Print event: number of bytes it covers.
pub const BYTES: &str = "bytes";
/// Print event: milliseconds since the session's first print event (FORMAT 3).
pub const MS: &str = "ms";
/// Namespace of the session.
pub const NAMESPACE: &str = "namespace";

/// OS login on the server.
pub const LOGIN: &str = "login";
/// Teleport user.
pub const USER: &str = "user";
/// Protocol of the session, [`PROTO_SSH`] or [`PROTO_KUBE`].
pub const PROTO: &str = "proto";
/// Value of [`PROTO`]: SSH.
pub const PROTO_SSH: &str = "ssh";
/// Value of [`PROTO`]: Kubernetes.
pub const PROTO_KUBE: &str = "kube";
/// Address of the server's end of the connection.
pub const ADDR_LOCAL: &str = "addr.local";
/// Address of the user's end of the connection.
pub const ADDR_REMOTE: &str = "addr.remote";

/// UUID of the server the session ran on.
pub const SERVER_ID: &str = "server_id";
/// Host name of the server the session ran on (4.x).
pub const SERVER_HOSTNAME: &str = "server_hostname";
/// Address of the server the session ran on (4.x).
pub const SERVER_ADDR: &str = "server_addr";
/// Labels of the server the session ran on (4.x).
pub const SERVER_LABELS: &str = "server_labels";
/// `session.end`: when the session began (4.x).
pub const SESSION_START: &str = "session_start";
/// `session.end`: when the session ended (4.x).
pub const SESSION_STOP: &str = "session_stop";
/// `session.end`: was it recorded with enhanced events (4.x)?
pub const ENHANCED_RECORDING: &str = "enhanced_recording";
/// `session.end`: did it have a terminal (4.x)?
pub const INTERACTIVE: &str = "interactive";
/// `session.end`: the users who took part (4.x).
pub const PARTICIPANTS: &str = "participants";
/// Terminal size `W:H` of `session.start` and `resize`.
pub const SIZE: &str = "size";
/// `session.upload`: where the recording was stored.
pub const URL: &str = "url";
/// `session.data`: bytes sent.
pub const TX: &str = "tx";
/// `session.data`: bytes received.
pub const RX: &str = "rx";

/// Why, for example why a client was disconnected.
pub const REASON: &str = "reason";
/// Did it succeed? (`user.login`, `auth`, `port`, `x11-forward`)
pub const SUCCESS: &str = "success";
/// What went wrong.
pub const ERROR: &str = "error";
/// A message beside or in place of [`ERROR`].
pub const MESSAGE: &str = "message";

/// `user.login`: how; one of [`METHOD_LOCAL`], [`METHOD_CLIENT_CERT`], [`METHOD_OIDC`], [`METHOD_SAML`], [`METHOD_GITHUB`].
pub const METHOD: &str = "method";
/// Value of [`METHOD`]: user name and password.
pub const METHOD_LOCAL: &str = "local";
/// Value of [`METHOD`]: a client certificate.
pub const METHOD_CLIENT_CERT: &str = "client.cert";
/// Value of [`METHOD`]: OpenID Connect.
pub const METHOD_OIDC: &str = "oidc";
/// Value of [`METHOD`]: SAML.
pub const METHOD_SAML: &str = "saml";
/// Value of [`METHOD`]: GitHub.
pub const METHOD_GITHUB: &str = "github";
/// When a user expires.
pub const EXPIRES: &str = "expires";
/// Roles of a user.
pub const ROLES: &str = "roles";
/// Attributes that an identity provider sent.
pub const ATTRIBUTES: &str = "attributes";
/// Connector that created a user.
pub const CONNECTOR: &str = "connector";
/// Name of a resource or subsystem.
pub const NAME: &str = "name";
/// Who changed a resource.
pub const UPDATED_BY: &str = "updated_by";
/// `access_request.update`: on whose behalf a plugin acted (4.x).
pub const DELEGATOR: &str = "delegator";
/// State of an access request.
pub const STATE: &str = "state";
/// Life time of a reset token (4.x).
pub const TTL: &str = "ttl";

/// `exec`: the command line.
pub const COMMAND: &str = "command";
/// `exec`: the exit code, a STRING (FORMAT 2).
pub const EXIT_CODE: &str = "exitCode";
/// `exec` and `subsystem`: the error.
pub const EXIT_ERROR: &str = "exitError";
/// `port`: the address forwarded to.
pub const ADDR: &str = "addr";
/// `scp` and the enhanced events: a path.
pub const PATH: &str = "path";
/// `scp`: length in bytes.
pub const LEN: &str = "len";
/// `scp`: [`ACTION_UPLOAD`] or [`ACTION_DOWNLOAD`].
pub const ACTION: &str = "action";
/// Value of [`ACTION`]: to the server.
pub const ACTION_UPLOAD: &str = "upload";
/// Value of [`ACTION`]: from the server.
pub const ACTION_DOWNLOAD: &str = "download";

/// Enhanced events (4.2): process id.
pub const PID: &str = "pid";
/// Enhanced events: process id of the parent.
pub const PPID: &str = "ppid";
/// Enhanced events: id of the cgroup.
pub const CGROUP_ID: &str = "cgroup_id";
/// Enhanced events: name of the program.
pub const PROGRAM: &str = "program";
/// `session.command`: arguments, without the program's name.
pub const ARGV: &str = "argv";
/// Enhanced events: what the system call returned.
pub const RETURN_CODE: &str = "return_code";
/// `session.disk`: flags of open(2).
pub const FLAGS: &str = "flags";
/// `session.network`: source address.
pub const SRC_ADDR: &str = "src_addr";
/// `session.network`: destination address.
pub const DST_ADDR: &str = "dst_addr";
/// `session.network`: destination port.
pub const DST_PORT: &str = "dst_port";
/// `session.network`: 4 or 6.
pub const VERSION: &str = "version";
