//! Event codes tell apart what one event name covers: a login that failed, a file sent or fetched.
//!
//! From Teleport `lib/events/codes.go`, 3.2.3 (the first with codes) to 4.3. The letter at the end is the severity: I
//! information, W warning, E error.
//!
//! The trap: two codes changed their meaning. When `user.create` got a code of its own, `T1002I` and `T1003I` moved
//! from update and delete to create and update, so a log over an upgrade holds both. The field `event` is always
//! right; ask it, not the code, what happened.

use std::fmt;

use super::EventName;

macro_rules! event_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $name:ident,)*) => {
        /// The code of an event, the value of its field `code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventCode {
            $($(#[$doc])* $variant,)*
        }

        impl EventCode {
            /// Every code, in the order of their text.
            pub const ALL: &'static [EventCode] = &[$(EventCode::$variant,)*];

            /// The code as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(EventCode::$variant => $text,)*
                }
            }

            /// The name of the events with this code, by the table of 4.3.
            pub const fn event_name(self) -> EventName {
                match self {
                    $(EventCode::$variant => EventName::$name,)*
                }
            }

            /// The code of that text; `None` for codes that Teleport 3.2.3 to 4.3 does not have.
            pub fn parse(text: &str) -> Option<EventCode> {
                match text {
                    $($text => Some(EventCode::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

event_codes! {
    /// A local user logged in.
    UserLocalLogin = "T1000I" UserLogin,
    /// A local user failed to log in.
    UserLocalLoginFailure = "T1000W" UserLogin,
    /// A user of an identity provider logged in.
    UserSsoLogin = "T1001I" UserLogin,
    /// A user of an identity provider failed to log in.
    UserSsoLoginFailure = "T1001W" UserLogin,
    /// A user was created. In older logs: changed.
    UserCreate = "T1002I" UserCreate,
    /// A user was changed. In older logs: deleted.
    UserUpdate = "T1003I" UserUpdate,
    /// A user was deleted.
    UserDelete = "T1004I" UserDelete,
    /// A user changed the own password.
    UserPasswordChange = "T1005I" UserPasswordChange,
    /// A session began.
    SessionStart = "T2000I" SessionStart,
    /// A user joined a session.
    SessionJoin = "T2001I" SessionJoin,
    /// The terminal changed its size.
    TerminalResize = "T2002I" Resize,
    /// A user left a session.
    SessionLeave = "T2003I" SessionLeave,
    /// A session ended.
    SessionEnd = "T2004I" SessionEnd,
    /// A recording was stored.
    SessionUpload = "T2005I" SessionUpload,
    /// Bytes moved were reported.
    SessionData = "T2006I" SessionData,
    /// A subsystem failed.
    SubsystemFailure = "T3001E" Subsystem,
    /// A subsystem was run.
    Subsystem = "T3001I" Subsystem,
    /// A command failed.
    ExecFailure = "T3002E" Exec,
    /// A command was run.
    Exec = "T3002I" Exec,
    /// A port could not be forwarded.
    PortForwardFailure = "T3003E" Port,
    /// A port was forwarded.
    PortForward = "T3003I" Port,
    /// A file could not be fetched.
    ScpDownloadFailure = "T3004E" Scp,
    /// A file was fetched.
    ScpDownload = "T3004I" Scp,
    /// A file could not be sent.
    ScpUploadFailure = "T3005E" Scp,
    /// A file was sent.
    ScpUpload = "T3005I" Scp,
    /// A client was disconnected.
    ClientDisconnect = "T3006I" ClientDisconnect,
    /// An SSH authentication failed.
    AuthAttemptFailure = "T3007W" Auth,
    /// X11 was forwarded.
    X11Forward = "T3008I" X11Forward,
    /// X11 could not be forwarded.
    X11ForwardFailure = "T3008W" X11Forward,
    /// Enhanced recording: a program was run.
    SessionCommand = "T4000I" SessionCommand,
    /// Enhanced recording: a file was opened.
    SessionDisk = "T4001I" SessionDisk,
    /// Enhanced recording: a connection was made.
    SessionNetwork = "T4002I" SessionNetwork,
    /// An access request was made.
    AccessRequestCreate = "T5000I" AccessRequestCreate,
    /// An access request changed its state.
    AccessRequestUpdate = "T5001I" AccessRequestUpdate,
    /// A token to reset a password was made.
    ResetPasswordTokenCreate = "T6000I" ResetPasswordTokenCreate,
    /// A trusted cluster was added.
    TrustedClusterCreate = "T7000I" TrustedClusterCreate,
    /// A trusted cluster was removed.
    TrustedClusterDelete = "T7001I" TrustedClusterDelete,
    /// A token to join as a trusted cluster was made.
    TrustedClusterTokenCreate = "T7002I" TrustedClusterTokenCreate,
    /// A GitHub connector was created or changed.
    GithubCreated = "T8000I" GithubCreated,
    /// A GitHub connector was deleted.
    GithubDeleted = "T8001I" GithubDeleted,
    /// An OIDC connector was created or changed.
    OidcCreated = "T8100I" OidcCreated,
    /// An OIDC connector was deleted.
    OidcDeleted = "T8101I" OidcDeleted,
    /// A SAML connector was created or changed.
    SamlCreated = "T8200I" SamlCreated,
    /// A SAML connector was deleted.
    SamlDeleted = "T8201I" SamlDeleted,
    /// A role was created or changed.
    RoleCreated = "T9000I" RoleCreated,
    /// A role was deleted.
    RoleDeleted = "T9001I" RoleDeleted,
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_from_its_text() {
        for &code in EventCode::ALL {
            assert_eq!(EventCode::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<_> = EventCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    }

    #[test]
    fn every_event_has_a_code_but_print() {
        let coded = |name| EventCode::ALL.iter().any(|code| code.event_name() == name);
        let without: Vec<_> = EventName::ALL
            .iter()
            .filter(|&&name| !coded(name))
            .collect();
        assert_eq!(without, [&EventName::Print]);
    }

    #[test]
    fn a_code_of_another_era_is_not_ours() {
        for text in ["", "T1002", "t1000i", "TLK00I", "T3009I"] {
            assert_eq!(EventCode::parse(text), None, "{text}");
        }
    }
}
