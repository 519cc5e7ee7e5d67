# shellcheck shell=bash
# cfn-init applies what Heat serves, once; sourced by heat.sh.

document() { # GREETING: the metadata of the guest
  jq -n --arg greeting "$1" '{greeting: $greeting, "AWS::CloudFormation::Init": {
    configSets: {default: ["first", {ConfigSet: "rest"}], rest: ["second"]},
    first: {
      groups: {cfne2e: {gid: "4242"}},
      files: {
        "/etc/cfn-test/greeting": {content: ($greeting + "\n"), mode: "000640", owner: "root", group: "cfne2e"},
        "/etc/cfn-test/settings.json": {content: {a: [1, true, null], b: "ü"}, mode: "000600"},
        "/etc/cfn-test/link": {content: "/etc/cfn-test/greeting", mode: "120644"}}},
    second: {commands: {
      "02_second": {command: ["sh", "-c", "echo second >>order"], cwd: "/etc/cfn-test",
        test: "! grep -q second order"},
      "01_first": {command: "echo \"$WORD\" >>order", env: {WORD: "first"}, cwd: "/etc/cfn-test",
        test: "test ! -e order"}}}}}'
}
document hello >"$work/init.json"
new_stack init "$work/init.json"
guest init
credentials init
in_room() { cat "$work/rooms/init$1"; }
report() { jq -r "$1" "$work/rooms/init/var/lib/cfn-init/report.json" 2>&1; }

run init cfn-init -s "$STACK_NAME" -r Guest
ends "init from Heat's endpoint exits 0" 0
is "it wrote the file" "$(in_room /etc/cfn-test/greeting)" hello
is "with mode and group" "$(stat -c '%a %u:%g' "$work/rooms/init/etc/cfn-test/greeting")" "640 0:4242"
is "it wrote the JSON file" "$(in_room /etc/cfn-test/settings.json | jq -c .)" '{"a":[1,true,null],"b":"ü"}'
is "it made the link" "$(readlink "$work/rooms/init/etc/cfn-test/link")" /etc/cfn-test/greeting
is "it ran the commands in order" "$(in_room /etc/cfn-test/order)" $'first\nsecond'
is "its report counts the changes" "$(report .changed)" 6
is "its report is private" "$(stat -c %a "$work/rooms/init/var/lib/cfn-init/report.json")" 600

run init cfn-init -s "$STACK_NAME" -r Guest
ends "a second init exits 0" 0
is "and changes nothing" "$(report .changed)" 0

# An update of a stack that is not yet complete may go wrong in Heat itself.
run init cfn-signal -e 0 -i w1 "$WAIT_URL"
await_status "$STACK_NAME" CREATE_COMPLETE >/dev/null
document goodbye >"$work/init.json"
stack update "$STACK_NAME" "$work/init.json"
run init cfn-init -s "$STACK_NAME" -r Guest --report /run/report.json
ends "init after a stack update exits 0" 0
is "it wrote the new file" "$(in_room /etc/cfn-test/greeting)" goodbye
is "and changed that file only" \
  "$(jq -r '.changed, (.items[] | select(.changed).name)' "$work/rooms/init/run/report.json" 2>&1)" \
  $'1\n/etc/cfn-test/greeting'

run init cfn-init
ends "a bare init uses what the last one left" 0
is "and changes nothing" "$(report .changed)" 0
guest init http://127.0.0.1:9/v1/
run init cfn-init -s "$STACK_NAME" -r Guest --retry-for 1s
ends "init without a server uses what the last one left" 0
has "and names the server that is gone" "$err" "127.0.0.1:9"

guest fresh
credentials fresh
run fresh cfn-init -s "$STACK_NAME" -r Forbidden --retry-for 20s
ends "init of a resource that may not be read exits 1" 1
for part in "$STACK_NAME" Forbidden "$CFN_URL/v1/" "not authorized"; do has "it says \"$part\"" "$err" "$part"; done
