//! Who does what where in the made-up audit logs. All texts are escaped as Go's JSON encoder escapes them.

/// Teleport users, some of them awkward.
pub(super) const USERS: &[&str] = &[
    "alice@example.com",
    "bob",
    "carol",
    "dave@example.com",
    "élodie",
    "frank",
    "grace.hopper@corp.example.com",
    "heidi",
    "ivan",
    "judy",
    "mallory \\u003cscript\\u003e\\u0026",
    "robot-ci",
];

/// Accounts on the nodes.
pub(super) const LOGINS: &[&str] = &["root", "ubuntu", "deploy", "postgres", "admin"];

/// Sizes of terminals, width and height.
pub(super) const SIZES: &[&str] = &["80:25", "80:24", "120:40", "132:43", "211:57"];

/// What `exec` events ran.
pub(super) const COMMANDS: &[&str] = &[
    "/bin/sh -c '( umask 77 \\u0026\\u0026 mkdir -p \\\"` echo /root/.ansible/tmp/ansible-tmp-1525161483.71-234512391 `\\\" \\u0026\\u0026 echo ansible-tmp-1525161483.71-234512391=\\\"` echo /root/.ansible/tmp/ansible-tmp-1525161483.71-234512391 `\\\" ) \\u0026\\u0026 sleep 0'",
    "/bin/sh -c '/usr/bin/python3 /root/.ansible/tmp/ansible-tmp-1525161490.02-111918712/AnsiballZ_service.py \\u0026\\u0026 rm -rf /root/.ansible/tmp/ansible-tmp-1525161490.02-111918712/ \\u003e /dev/null 2\\u003e\\u00261 \\u0026\\u0026 sleep 0'",
    "/bin/sh -c 'echo ~root \\u0026\\u0026 sleep 0'",
    "kubectl --context=production --namespace=payments get pods -o jsonpath='{range .items[*]}{.metadata.name}{\\\"\\\\n\\\"}{end}'",
    "grep session.start /var/lib/teleport/log/events.log",
    "sh -c 'ps aux | grep teleport | grep -v grep | awk \\\"{print $2}\\\"'",
    "journalctl -u nginx --since \\\"10 minutes ago\\\" --no-pager | tail -n 200",
    "sudo -u postgres psql -At -c 'select pid, state, now() - query_start from pg_stat_activity order by 3 desc limit 20'",
    "df -h",
    "rsync --server --sender -vlogDtpre.iLsfxC . /srv/backups/daily/",
    "sh -c 'echo \\\"héllo wörld\\\"; cat /etc/os-release'",
    "docker logs --tail=500 $(docker ps -q --filter name=api-gateway) 2\\u003e\\u00261 | grep -i error",
];

/// What is typed at a prompt; these go into streams, so nothing is escaped.
pub(super) const TYPED: &[&str] = &[
    "ls -la /srv",
    "tail -n 50 /var/log/auth.log",
    "cat /proc/net/dev",
    "ls größe",
    "journalctl -u nginx --since '10 minutes ago' > /tmp/log && wc -l /tmp/log",
];

/// Paths that `scp` events copied.
pub(super) const PATHS: &[&str] = &[
    "/tmp/a b.txt",
    "/srv/releases/api-gateway/2018-05-01T07-58-03Z/api-gateway-1.14.2-linux-amd64.tar.gz",
    "/var/backups/postgres/payments/base/00000001000000A4000000F1.backup",
    "/home/deploy/.kube/config",
    "/etc/nginx/sites-available/default.conf",
    "/opt/größe/übersicht.csv",
];

/// Why `auth` events failed.
pub(super) const AUTH_ERRORS: &[&str] = &[
    "ssh: cert has expired",
    "ssh: principal \\\"root\\\" not in the set of valid principals for given certificate: [\\\"ubuntu\\\" \\\"deploy\\\" \\\"-teleport-nologin\\\"]",
    "user mallory@example.com is not authorized to login as root@production: access denied, no role in [developer auditor] allows login \\\"root\\\" on a node with labels env=production, tier=db",
];

/// What `user.login` events say of the identity provider's answer.
pub(super) const ATTRIBUTES: &[&str] = &[
    r#"{"groups":["engineering","oncall","production-access"],"email":["alice@example.com"],"name":["Alice Example"]}"#,
    r#"{"aud":"teleport","email":"bob@example.com","email_verified":true,"groups":["engineering"],"iss":"https://login.example.com/oauth2/default"}"#,
    r#"{"groups":["auditors"],"username":["grace.hopper"]}"#,
];

/// Why `user.login` events failed.
pub(super) const LOGIN_ERRORS: &[&str] = &[
    "access denied: bad \\\"claims\\\"\\nsecond line",
    "invalid username, password or second factor",
    "user \\u003cunknown\\u003e not found \\u0026 no connector named \\\"okta\\\" is configured in this cluster",
];

/// Why `client.disconnect` events happened.
pub(super) const DISCONNECTS: &[&str] = &[
    "idle for \\u003e 10m \\u0026 closed",
    "client certificate expired at 2018-05-01 19:58:03 +0000 UTC",
];
