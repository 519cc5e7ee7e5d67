# shellcheck shell=bash
# cfn-signal reaches the wait condition, or says why it did not; sourced by heat.sh.

# Three successes complete this stack, one failure the other.
COUNT=3 new_stack signal
guest signal
received() { stack signals "$STACK_NAME" | jq -c "$1"; }
# unsent WHAT PART...: the last run failed and says each PART, but not the URL's signature
unsent() {
  local what=$1 part
  shift
  ends "$what exits 1" 1
  is "$what prints nothing on stdout" "$out" ""
  for part; do has "$what: stderr says \"$part\"" "$err" "$part"; done
  lacks "$what: no traceback of the server's" "$err" Traceback
  lacks "$what: the signature is not shown" "$err" "$signature"
}
signature=${WAIT_URL##*Signature=}
signature=${signature%%&*}

wrong=${WAIT_URL/Signature=$signature/Signature=AAAA$signature}
run signal cfn-signal -e 0 -i w1 --retry-for 20s "$wrong"
unsent "a signal with a wrong signature" 403 "not authorized" "$STACK_NAME" WaitHandle
old=$(signed "$WAIT_URL" '20 minutes')
run signal cfn-signal -e 0 -i w1 --retry-for 20s "$old"
unsent "a signal by an expired URL" "signed 20m" auth_ttl
run signal cfn-signal -e 0 ''
unsent "a signal to an empty URL" "was the handle variable empty"
is "Heat took none of these" "$(received .signals)" '{}'

# nasty: what a shell or a careless encoder would spoil
nasty=$'it\'s "done" at 100 %\n<ü €> \\ $HOME'
run signal cfn-signal -e 0 -i w1 -r 'all fine' --data "$nasty" "$WAIT_URL"
ends "a signal with -e 0 exits 0" 0
is "it prints one line" "$(wc -l <<<"$out")" 1
is "Heat has its status, reason and data" "$(stack signals "$STACK_NAME" | jq -cS .signals.w1)" \
  "$(jq -cnS --arg d "$nasty" '{Status: "SUCCESS", Reason: "all fine", Data: $d}')"

credentials signal
run signal cfn-signal -e 0 -i w2 -d again "$old"
ends "a signal by an expired URL is signed again with the guest's keys" 0
has "and it says so" "$err" "sign"
is "Heat has it" "$(received .signals.w2.Data)" '"again"'

resource() { # RESOURCE [OPTION...]
  local resource=$1
  shift
  run signal cfn-signal --stack "$STACK_NAME" --resource "$resource" "$@"
}
resource Refresh -e 0 --retry-for 20s
unsent "a handle the guest may not read" "$STACK_NAME" Refresh "$CFN_URL/v1/" "not authorized"
resource Guest -e 0
unsent "a resource that takes no signal" Guest "wait condition handle"
# native WHAT RESOURCE ID DATA: the last run reached that OS::Heat::WaitConditionHandle
native() {
  local got want
  ends "$1 exits 0" 0
  want=$(jq -cnS --arg d "$4" '{data: $d, reason: "Configuration Complete", status: "SUCCESS"}')
  for _ in {1..20}; do # POST is answered before Heat has acted
    got=$(stack metadata "$STACK_NAME" "$2" | jq -cS --arg id "$3" '.[$id]')
    [ "$got" != "$want" ] || break
    sleep 0.5
  done
  is "Heat has it" "$got" "$want"
}
resource NativeHandle -e 0 -i n1 -d native
native "a signal to an OS::Heat::WaitConditionHandle by its name" NativeHandle n1 native
run signal cfn-signal -e 0 -i n2 -d 'by url' "$(jq -r .alarm_url <<<"$NATIVE_SIGNAL")"
native "a signal to an OS::Heat::WaitConditionHandle by its URL" NativeHandle n2 'by url'
run signal cfn-signal -e 0 -i n3 -d handle --handle "$NATIVE_SIGNAL"
native "a signal to a handle of CFN_SIGNAL" NativeHandle n3 handle
run signal cfn-signal -e 0 -i n4 -d token --handle "$TOKEN_SIGNAL"
native "a signal to a handle of TOKEN_SIGNAL" TokenHandle n4 token
run signal cfn-signal --stack nosuchstack --resource WaitHandle -e 0
unsent "a signal to an unknown stack" nosuchstack "$CFN_URL/v1/" "could not be found"
is "the stack still waits" "$(received .status)" '"CREATE_IN_PROGRESS"'

resource WaitHandle -e 0 -i w3 -d 'by name'
ends "a signal by stack and handle exits 0" 0
complete=$(await_status "$STACK_NAME" CREATE_COMPLETE)
is "the stack is complete" "$(jq -r .status <<<"$complete")" CREATE_COMPLETE
is "the wait condition has our data" "$(jq -r .data <<<"$complete" | jq -cS .)" \
  "$(jq -cnS --arg d "$nasty" '{w1: $d, w2: "again", w3: "by name"}')"

new_stack failing
guest failing
run failing cfn-signal -e 1 -i w1 -r 'mysqld: "no space" left' "$WAIT_URL"
ends "a signal with -e 1 exits 0: it was delivered" 0
failed_stack=$(await_status "$STACK_NAME" CREATE_FAILED)
is "the stack has failed" "$(jq -r .status <<<"$failed_stack")" CREATE_FAILED
has "with our reason" "$(jq -r .reason <<<"$failed_stack")" 'mysqld: "no space" left'

stack_gone=$WAIT_URL
stack delete "$STACK_NAME" >/dev/null
run failing cfn-signal -e 0 -i w1 --retry-for 20s "$stack_gone"
ends "a signal to a deleted stack exits 1" 1
run failing cfn-signal -e 0 -i w1 --retry-for 1s "${WAIT_URL/$CFN_URL/http:\/\/127.0.0.1:9}"
unsent "a signal to a dead server" "127.0.0.1:9" "connection refused"
run failing cfn-signal -e 0
ends "a signal to nothing is a mistake of the caller" 1
