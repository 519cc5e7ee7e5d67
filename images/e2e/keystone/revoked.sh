# shellcheck shell=bash disable=SC2154
# A key that Keystone knows no more, or whose user or role is no more, is refused after the cache time.

server yes
call owner "$(define web-beat "$web_stack")"
person leaver:demo:member fired:demo:member demoted:demo:member
guest_of gone
for who in leaver fired demoted gone; do
  gets "$who pushes" $who "$(push web-beat)" 200
done
people delete-key leaver
refused_within "a deleted key is refused" leaver $cache InvalidClientTokenId
people disable fired
refused_within "a disabled user is refused" fired $cache AccessDenied
people demote demoted
refused_within "a user without a role is refused" demoted $cache AccessDenied
stack delete "$run-gone" >/dev/null
rm "$work/gone.vars"
refused_within "the guest of a deleted stack is refused" gone $cache InvalidClientTokenId
gets "another guest goes on" web "$(push web-beat)" 200
