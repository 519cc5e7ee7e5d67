# shellcheck shell=bash disable=SC2154
# Requests that the server shows to Keystone, with an application credential of role service.

server no
gets "the owner's key defines an alarm for a stack" owner "$(define web-beat "$web_stack")" 200
gets "a guest feeds it" web "$(push web-beat)" 200
heard=$(arrived web-beat)
if [ "$heard" != never ]; then pass "which has heard it"; else fail "which has heard it"; fi
gets "a guest of another stack may try" db "$(push web-beat)" 200
gets "and a stranger" stranger "$(push web-beat)" 200
is "and it has heard neither" "$(arrived web-beat)" "$heard"
gets "a reader lists" watcher "$(list web-beat)" 200 web-beat
forger_access=$web_access forger_secret=$db_secret nobody_access=0123456789abcdef0123456789abcdef nobody_secret=x
gets "another's secret" forger "$(push web-beat)" 403 AccessDenied
gets "an unknown key" nobody "$(push web-beat)" 403 InvalidClientTokenId
