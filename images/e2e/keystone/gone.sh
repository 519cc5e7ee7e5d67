# shellcheck shell=bash disable=SC2154
# Keystone hangs, and is stopped: known keys go on, nobody else is let in, and nobody is refused for it.

keystone() { # COMMAND...: with the functions and names of openstack/common.sh
  # shellcheck source=openstack/common.sh
  (. "$here/openstack/common.sh" && "$@")
}
signal_keystone() { # SIGNAL
  local pid
  read -r pid _ <"$OPENSTACK_DIR/run/keystone.pid"
  kill "-$1" -- "-$pid"
}
later() { # WHAT WHO: WHO is told to come later
  gets "$1" "$2" "$(push web-beat)" 503 ServiceUnavailable
  has "with Retry-After" "$(tr A-Z a-z <"$work/head")" "retry-after:"
}

nobody_access=0123456789abcdef0123456789abcdef nobody_secret=x
forger_access=$web_access forger_secret=$db_secret

server yes
call owner "$(define web-beat "$web_stack")"
gets "before: a guest" web "$(push web-beat)" 200
gets "before: a stranger's key is read" stranger "$(push web-beat)" 200
person late:demo:member
signal_keystone STOP
end=$((SECONDS + 2 * cache)) slow=0
while [ $SECONDS -lt $end ]; do
  began=$EPOCHREALTIME
  call web "$(push web-beat)"
  [ "$code" = 200 ] || fail "a guest while Keystone hangs" "$code $answer"
  [ "$(since "$began")" -lt 1000 ] || slow=$((slow + 1))
  sleep 0.5
done
is "while Keystone hangs a known guest waits for nothing" $slow 0
later "a key that is not known yet" late
signal_keystone CONT

keystone stop keystone
gets "while Keystone is stopped a known guest goes on" web "$(push web-beat)" 200
gets "and a known user" stranger "$(push web-beat)" 200
later "a key that is not known" nobody
later "one made meanwhile" late
has "status says so" "$("$root/bin/cfn-watch" status)" "it does not answer now"
call forger "$(push web-beat)"
case $code in
  403 | 503) pass "a wrong signature is not let in" ;;
  *) fail "a wrong signature is not let in" "$code $answer" ;;
esac
server no
for who in web stranger owner nobody forger; do
  later "shown to a Keystone that is stopped: $who" $who
done
"$here/openstack/up"
sleep 6 # a login that failed is not tried again for so long
gets "when it is back: a guest" web "$(push web-beat)" 200
gets "when it is back: an unknown key" nobody "$(push web-beat)" 403 InvalidClientTokenId
