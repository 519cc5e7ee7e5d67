# shellcheck shell=bash
# cfn-hup fires for a stack update: once, again when the action failed or its end was not recorded,
# and for nothing else; sourced by heat.sh.

document() { # VERSION [KEY]: KEY changes at each update, so that hooks for version see more than theirs
  jq -n --arg v "$1" --arg k "${2:-}" '{version: $v, other: $k, "AWS::CloudFormation::Init": {config: {
    files: {"/etc/cfn-test/version": {content: $v}}}}}'
}
# update VERSION [KEY]: and wait until Heat has nothing more to do, since a resource that is being
# changed is left for the next pass
update() {
  local before end=$((SECONDS + 120)) s
  before=$(stack signals "$STACK_NAME" | jq .updated)
  document "$@" >"$work/hup.json"
  stack update "$STACK_NAME" "$work/hup.json"
  until s=$(stack signals "$STACK_NAME") && jq -e --argjson t "$before" '.status == "UPDATE_COMPLETE" and .updated != $t' <<<"$s" >/dev/null; do
    [ $SECONDS -lt $end ] || { fail "the stack is updated" "$s"; return; }
    sleep 0.5
  done
}
# hook NAME TRIGGERS ACTION [KEY]: a hook, in a file of its own
hook() {
  printf '[%s]\ntriggers=%s\npath=Resources.Guest.Metadata.%s\naction=%s\n' "$1" "$2" "${4:-version}" "$3" |
    put hup "/etc/cfn/hooks.d/$1.conf"
}
# fired NAME: what its action wrote since it was asked last, lines parted by |
fired() {
  local file=$work/rooms/hup/var/fired-$1
  [ -e "$file" ] || return 0
  paste -sd '|' "$file"
  rm "$file"
}
# say NAME: an action that tells what it was told
say() { echo "echo \$CFN_TRIGGER \$CFN_OLD_METADATA \$CFN_NEW_METADATA >>/var/fired-$1"; }
# daemon and stop_daemon: passes each second in that room, and no other command there meanwhile
daemon() {
  : >"$work/hup.out"
  "$here/room" "$work/rooms/hup" env PATH="$bin:/usr/sbin:/usr/bin:/sbin:/bin" cfn-hup --daemon -v >"$work/hup.out" 2>&1 </dev/null &
  daemon_pid=$!
}
stop_daemon() {
  kill "$daemon_pid"
  status=0
  wait "$daemon_pid" || status=$?
}
# passes COUNT: wait until the daemon has asked Heat that many times more
passes() {
  local end=$((SECONDS + 60)) want
  want=$(($(asked) + $1))
  while [ "$(asked)" -lt $want ] && [ $SECONDS -lt $end ]; do sleep 0.2; done
}
asked() { grep -c 'resource asked for' "$work/hup.out" || true; }

document one >"$work/hup.json"
new_stack hup "$work/hup.json"
guest hup
credentials hup
printf '[main]\nstack=%s\ncredential-file=/etc/cfn/cfn-credentials\nregion=%s\ninterval=1s\n' "$STACK_NAME" "$REGION" |
  put hup /etc/cfn/cfn-hup.conf 0400
# An update of a stack that is not yet complete may go wrong in Heat itself.
run hup cfn-signal -e 0 -i w1 "$WAIT_URL"
await_status "$STACK_NAME" CREATE_COMPLETE >/dev/null

hook plain post.add,post.update,post.remove "$(say plain)"
run hup cfn-init -s "$STACK_NAME" -r Guest
ends "init before the first pass exits 0" 0
update two
run hup cfn-hup -f
ends "the first pass exits 0" 0
is "an update between cfn-init and the first pass fires the hook" "$(fired plain)" "post.update one two"

# Passes before, while and after Heat updates the stack: a second's interval is shorter than that takes.
daemon
passes 2
update three
passes 3
stop_daemon
ends "the daemon ends well" 0
is "a stack update under a daemon fires the hook exactly once" "$(fired plain)" "post.update two three"
update three changed
run hup cfn-hup -f
is "an update elsewhere in the metadata does not fire it" "$(fired plain)" ""

# shellcheck disable=SC2016
hook retried post.update 'echo $CFN_OLD_METADATA $CFN_NEW_METADATA >>/var/fired-retried
  test $(wc -l </var/fired-retried) -ge 3'
run hup cfn-hup -f
is "a new hook has nothing to say of what was there before" "$(fired retried)" ""
daemon
update four
passes 8
stop_daemon
is "an action that fails twice is run until it succeeds, and no more" "$(fired retried)" "three four|three four|three four"
is "while the hook beside it fired once" "$(fired plain)" "post.update three four"
run hup cfn-hup --status
ends "then no hook is failing" 0
has "and its success is told" "$out" "retried: post.update done at "

# The first hook in order kills the pass as its action ends; the second one was not yet run.
rm "$work/rooms/hup/etc/cfn/hooks.d/retried.conf"
# shellcheck disable=SC2016
hook a-killer post.update 'echo $CFN_OLD_METADATA $CFN_NEW_METADATA >>/var/fired-killer
  if mkdir /var/killed; then kill -9 $PPID; fi'
run hup cfn-hup -f
update five
run hup sh -c 'cfn-hup -f; exit $?'
ends "kill -9 between an action and its record ends the pass" 137
is "the action was run" "$(cat "$work/rooms/hup/var/fired-killer")" "four five"
is "the hook after it was not" "$(fired plain)" ""
run hup cfn-hup -f
ends "the next pass exits 0" 0
is "it runs the action again, for the same change" "$(fired killer)" "four five|four five"
is "and the hook that is still to fire" "$(fired plain)" "post.update four five"
# Killed again, and an update comes before the next pass: the change is from what was last done.
rmdir "$work/rooms/hup/var/killed"
update six
run hup sh -c 'cfn-hup -f; exit $?'
update seven
run hup cfn-hup -f
is "an update after the kill is told with the value that was recorded" "$(fired killer)" "five six|five seven"
is "to each hook" "$(fired plain)" "post.update five seven"

asked=0
for _ in 1 2 3 4; do
  run hup sh -c 'for i in $(seq 25); do cfn-hup -f -v || exit; done'
  ends "25 polls exit 0" 0
  asked=$((asked + $(grep -c 'resource asked for .* status=200' <<<"$err" || true)))
done
is "Heat answered 100 polls" "$asked" 100
is "an unchanged document fires nothing in 100 polls" "$(fired plain)$(fired killer)$(fired retried)" ""
