//! The events that Teleport 2.4 to 4.3 writes are a closed set; what an audit directory holds is not.
//!
//! So [`EventName`] is what this program gives a meaning to, and a name that is none of these is still a good event.

use std::fmt;

macro_rules! event_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The name of an event, the value of its field `event`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventName {
            $($(#[$doc])* $variant,)*
        }

        impl EventName {
            /// Every name, in the order of their declaration.
            pub const ALL: &'static [EventName] = &[$(EventName::$variant,)*];

            /// The name as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(EventName::$variant => $text,)*
                }
            }

            /// The event of that name; `None` for names that Teleport 2.4 to 4.3 does not have.
            pub fn parse(text: &str) -> Option<EventName> {
                match text {
                    $($text => Some(EventName::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

event_names! {
    /// Bytes were written to the terminal: a print event. Only in session files, never in the daily log (FORMAT 2).
    Print = "print",
    /// A session began.
    SessionStart = "session.start",
    /// A session ended; its last event but for upload and data.
    SessionEnd = "session.end",
    /// Another user joined a session.
    SessionJoin = "session.join",
    /// A user left a session.
    SessionLeave = "session.leave",
    /// A recording was stored by an upload handler. Its `ei` is [`SESSION_UPLOAD_INDEX`].
    SessionUpload = "session.upload",
    /// How many bytes a connection moved. Its `ei` is [`SESSION_DATA_INDEX`].
    SessionData = "session.data",
    /// Enhanced recording (4.2): a program was run.
    SessionCommand = "session.command",
    /// Enhanced recording (4.2): a file was opened.
    SessionDisk = "session.disk",
    /// Enhanced recording (4.2): a connection was made.
    SessionNetwork = "session.network",
    /// The terminal changed its size.
    Resize = "resize",
    /// A command was run, in or outside a session.
    Exec = "exec",
    /// A file was copied by scp.
    Scp = "scp",
    /// A port was forwarded.
    Port = "port",
    /// X11 was forwarded.
    X11Forward = "x11-forward",
    /// An SSH subsystem was run.
    Subsystem = "subsystem",
    /// An SSH authentication was tried.
    Auth = "auth",
    /// The server disconnected a client.
    ClientDisconnect = "client.disconnect",
    /// A user logged in, or failed to.
    UserLogin = "user.login",
    /// A user was created.
    UserCreate = "user.create",
    /// A user was changed; before `user.create` existed also: created.
    UserUpdate = "user.update",
    /// A user was deleted.
    UserDelete = "user.delete",
    /// A user changed the own password.
    UserPasswordChange = "user.password_change",
    /// An access request was made.
    AccessRequestCreate = "access_request.create",
    /// An access request changed its state.
    AccessRequestUpdate = "access_request.update",
    /// A token to reset a password was made.
    ResetPasswordTokenCreate = "reset_password_token.create",
    /// A role was created or changed.
    RoleCreated = "role.created",
    /// A role was deleted.
    RoleDeleted = "role.deleted",
    /// A trusted cluster was added.
    TrustedClusterCreate = "trusted_cluster.create",
    /// A trusted cluster was removed.
    TrustedClusterDelete = "trusted_cluster.delete",
    /// A token to join as a trusted cluster was made.
    TrustedClusterTokenCreate = "trusted_cluster_token.create",
    /// A GitHub connector was created or changed.
    GithubCreated = "github.created",
    /// A GitHub connector was deleted.
    GithubDeleted = "github.deleted",
    /// An OIDC connector was created or changed.
    OidcCreated = "oidc.created",
    /// An OIDC connector was deleted.
    OidcDeleted = "oidc.deleted",
    /// A SAML connector was created or changed.
    SamlCreated = "saml.created",
    /// A SAML connector was deleted.
    SamlDeleted = "saml.deleted",
}

/// The `ei` of `session.upload`: so large that the event comes last (Teleport `api.go`, `SessionUploadIndex`).
pub const SESSION_UPLOAD_INDEX: super::EventIndex = super::EventIndex(i32::MAX as i64);

/// The `ei` of `session.data`: one before [`SESSION_UPLOAD_INDEX`] (Teleport `api.go`, `SessionDataIndex`).
pub const SESSION_DATA_INDEX: super::EventIndex = super::EventIndex(i32::MAX as i64 - 1);

impl EventName {
    /// Is it an event of enhanced recording? These count their `ei` apart from the session's other events (FORMAT 3).
    pub const fn is_enhanced(self) -> bool {
        matches!(
            self,
            EventName::SessionCommand | EventName::SessionDisk | EventName::SessionNetwork
        )
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_text() {
        for &name in EventName::ALL {
            assert_eq!(EventName::parse(name.as_str()), Some(name));
        }
    }

    #[test]
    fn a_name_of_another_program_is_not_ours() {
        for text in [
            "",
            "user.joined",
            "Session.start",
            "auditfs.unparsed",
            "print ",
        ] {
            assert_eq!(EventName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn three_events_are_enhanced() {
        let enhanced: Vec<_> = EventName::ALL
            .iter()
            .filter(|name| name.is_enhanced())
            .map(|name| name.as_str())
            .collect();
        assert_eq!(
            enhanced,
            ["session.command", "session.disk", "session.network"]
        );
    }
}
