//! The code of an event that came without one: several codes share a name, and its fields tell which is meant.

use crate::event::{EventCode, EventFields, EventName, field_name};

/// The code for an event of that name (Teleport 3.2.3 to 4.3 `codes.go`); `None` where there is none for it.
pub(super) fn code_of(name: EventName, fields: &EventFields) -> Option<EventCode> {
    let failed = has_failed(fields);
    let which = |good, bad| Some(if failed { bad } else { good });
    match name {
        EventName::UserLogin => match fields.get_string(field_name::METHOD) {
            field_name::METHOD_OIDC | field_name::METHOD_SAML | field_name::METHOD_GITHUB => {
                which(EventCode::UserSsoLogin, EventCode::UserSsoLoginFailure)
            }
            _ => which(EventCode::UserLocalLogin, EventCode::UserLocalLoginFailure),
        },
        EventName::Subsystem => which(EventCode::Subsystem, EventCode::SubsystemFailure),
        EventName::Exec => which(EventCode::Exec, EventCode::ExecFailure),
        EventName::Port => which(EventCode::PortForward, EventCode::PortForwardFailure),
        EventName::X11Forward => which(EventCode::X11Forward, EventCode::X11ForwardFailure),
        EventName::Scp if fields.get_string(field_name::ACTION) == field_name::ACTION_DOWNLOAD => {
            which(EventCode::ScpDownload, EventCode::ScpDownloadFailure)
        }
        EventName::Scp => which(EventCode::ScpUpload, EventCode::ScpUploadFailure),
        // An attempt that succeeded has no code.
        EventName::Auth if !failed => None,
        _ => EventCode::ALL
            .iter()
            .copied()
            .find(|code| code.event_name() == name),
    }
}

/// Does the event tell of something that did not work?
fn has_failed(fields: &EventFields) -> bool {
    let refused = fields
        .get(field_name::SUCCESS)
        .and_then(serde_json::Value::as_bool)
        == Some(false);
    let exit_code = fields.get_string(field_name::EXIT_CODE);
    refused
        || !matches!(exit_code, "" | "0")
        || fields.has_field(field_name::EXIT_ERROR)
        || !fields.get_string(field_name::ERROR).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, code: Option<EventCode>) {
        let fields = EventFields::from_json(line.as_bytes()).unwrap();
        let name = EventName::parse(fields.get_type()).unwrap();
        assert_eq!(code_of(name, &fields), code, "{line}");
    }

    #[test]
    fn fields_tell_which_code_is_meant() {
        check(
            r#"{"event":"user.login","method":"local","success":true}"#,
            Some(EventCode::UserLocalLogin),
        );
        check(
            r#"{"event":"user.login","method":"saml","success":false}"#,
            Some(EventCode::UserSsoLoginFailure),
        );
        check(r#"{"event":"exec","exitCode":"0"}"#, Some(EventCode::Exec));
        check(
            r#"{"event":"exec","exitCode":"2"}"#,
            Some(EventCode::ExecFailure),
        );
        check(
            r#"{"event":"scp","action":"download"}"#,
            Some(EventCode::ScpDownload),
        );
        check(
            r#"{"event":"scp","action":"upload","exitError":"x"}"#,
            Some(EventCode::ScpUploadFailure),
        );
        check(
            r#"{"event":"auth","success":false}"#,
            Some(EventCode::AuthAttemptFailure),
        );
        check(r#"{"event":"auth","success":true}"#, None);
    }

    #[test]
    fn one_code_is_found_by_name_and_none_is_made_up() {
        check(
            r#"{"event":"session.start"}"#,
            Some(EventCode::SessionStart),
        );
        check(r#"{"event":"resize"}"#, Some(EventCode::TerminalResize));
        check(r#"{"event":"user.create"}"#, Some(EventCode::UserCreate));
        check(r#"{"event":"print"}"#, None);
    }
}
