#!/usr/bin/env bash
# Runs inside a booted container, as root: the whole program against a real
# systemd, from the metadata that Heat leaves in a guest.
set -euo pipefail
passed=0 failed=0
ok() { # NAME COMMAND...
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "ok - $name"; else failed=$((failed + 1)); echo "FAILED - $name"; fi
}
says() { grep -qF -- "$2" "$1" || { echo "-- $1 does not say: $2"; cat "$1"; false; }; }
is() { [ "$1" = "$2" ] || { echo "-- $1, want $2"; false; }; }
pid() { systemctl show -p MainPID --value "$1"; }
report() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\$/\1/p" /var/lib/cfn-init/report.json; }

for tool in init get-metadata signal create-aws-symlinks; do ln -sf cfn-agent /usr/bin/cfn-$tool; done
cfn-create-aws-symlinks >/dev/null
mkdir -p /var/lib/heat-cfntools

document() { # CONTENT-OF-CONF
  cat <<END
{"AWS::CloudFormation::Init": {"config": {
  "groups": {"webgroup": {"gid": "4711"}},
  "users": {"web": {"uid": "4712", "groups": ["webgroup"], "homeDir": "/srv"}},
  "files": {
    "/etc/systemd/system/web.service": {"content": "[Service]\nUser=web\nExecStart=/bin/sh -c 'cat /etc/web.conf; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n", "mode": "000644"},
    "/etc/systemd/system/broken.service": {"content": "[Service]\nExecStart=/bin/sh -c 'echo no database here; exit 3'\n[Install]\nWantedBy=multi-user.target\n", "mode": "000644"},
    "/etc/web.conf": {"content": "$1", "mode": "000640", "owner": "root", "group": "webgroup"}
  },
  "services": {"sysvinit": {
    "web": {"enabled": "true", "ensureRunning": "true", "files": ["/etc/web.conf"]},
    "broken": {"ensureRunning": "$2"}
  }}
}}}
END
}

document one false >/var/lib/heat-cfntools/cfn-init-data
/opt/aws/bin/cfn-init >/tmp/out 2>/tmp/err
ok "a bare cfn-init applies what Heat left" is "$(report outcome)" success
ok "the unit runs" systemctl -q is-active web
ok "the unit is enabled" systemctl -q is-enabled web
ok "as its user" is "$(stat -c %U "/proc/$(pid web)")" web
ok "the file has its group" is "$(stat -c '%U:%G %a' /etc/web.conf)" "root:webgroup 640"

before=$(pid web)
cfn-init >/tmp/out 2>/tmp/err
ok "a second run changes nothing" is "$(report changed)" 0
ok "and restarts nothing" is "$(pid web)" "$before"

document two false | cfn-init - >/tmp/out 2>/tmp/err
ok "a changed file restarts the service" [ "$(pid web)" != "$before" ]
ok "which the report says" says /var/lib/cfn-init/report.json '"web"'

document two true | cfn-init - >/tmp/out 2>/tmp/err
ok "a unit that dies is degraded" says /tmp/err 'cfn-init: degraded: config.services.sysvinit.broken: '
ok "and its last words are shown" says /tmp/err 'no database here'
status=0; document two true | cfn-init --strict - >/tmp/out 2>/tmp/err || status=$?
ok "which fails a strict run" is "$status" 1

cat >/tmp/reboot.json <<'END'
{"AWS::CloudFormation::Init": {"config": {"commands": {
  "1": {"command": "echo one >>/var/ran", "waitAfterCompletion": "forever"},
  "2": {"command": "echo two >>/var/ran"}}}}}
END
cfn-init /tmp/reboot.json >/tmp/out
ok "a command can wait for the next boot" says /tmp/out 'goes on after the next boot'
ok "the unit for it is right" systemd-analyze verify /etc/systemd/system/cfn-init-resume.service
systemctl daemon-reload
systemctl start cfn-init-resume.service
ok "it goes on where it stopped" is "$(tr '\n' ' ' </var/ran)" "one two "
ok "and takes itself away" [ ! -e /etc/systemd/system/cfn-init-resume.service ]

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
