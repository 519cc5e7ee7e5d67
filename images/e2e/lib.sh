# shellcheck shell=bash
# What the end-to-end tests share: rooms, running a tool, checking and counting. Sourced, not run.
# It needs $work, a directory for rooms and output, and $bin, our tools under their cfn-* names.

passed=0 failed=0
pass() { passed=$((passed + 1)); echo "ok - $1"; }
fail() { # WHAT DETAIL...
  failed=$((failed + 1))
  echo "not ok - $1"
  shift
  printf '%s\n' "$@" | sed 's/^/    /'
}
# is WHAT GOT WANT; has and lacks WHAT TEXT PART
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:  $2" "want: $3"; fi; }
has() { if [[ $2 == *"$3"* ]]; then pass "$1"; else fail "$1" "no \"$3\" in: $2"; fi; }
lacks() { if [[ $2 != *"$3"* ]]; then pass "$1"; else fail "$1" "\"$3\" in: $2"; fi; }
summary() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}

# run ROOM COMMAND...: run COMMAND in that room with our tools first on PATH; sets $status, $out
# and $err. A tool that hangs is ended after two minutes.
run() {
  local room=$1
  shift
  status=0
  timeout 120 "$here/room" "$work/rooms/$room" env PATH="${tools:-$bin}:/usr/sbin:/usr/bin:/sbin:/bin" "$@" \
    >"$work/out" 2>"$work/err" </dev/null || status=$?
  out=$(cat "$work/out")
  err=$(cat "$work/err")
}
# ends WHAT STATUS: how the last run ended
ends() {
  if [ "$status" = "$2" ]; then pass "$1"; else fail "$1" "exit status $status, want $2" "stdout: $out" "stderr: $err"; fi
}

# put ROOM PATH [MODE]: make a file of a room from stdin
put() {
  local file=$work/rooms/$1$2
  mkdir -p "${file%/*}"
  cat >"$file"
  chmod "${3:-0644}" "$file"
}
# guest ROOM [CFN_URL]: the room as Heat's user data leaves a guest, with the credentials a template writes
guest() {
  local url=${2:-$CFN_URL/v1/} host
  host=${url#*://} host=${host%%[:/]*}
  mkdir -p "$work/rooms/$1/var/lib"
  install -d -m 0700 "$work/rooms/$1/var/lib/heat-cfntools"
  printf %s "$url" | put "$1" /var/lib/heat-cfntools/cfn-metadata-server
  put "$1" /var/lib/heat-cfntools/cfn-boto-cfg <<END
[Boto]
debug = 0
is_secure = 0
https_validate_certificates = 1
cfn_region_name = heat
cfn_region_endpoint = $host
END
}
credentials() { # ROOM [PATH]
  printf 'AWSAccessKeyId=%s\nAWSSecretKey=%s\n' "$ACCESS_KEY" "$SECRET_KEY" | put "$1" "${2:-/etc/cfn/cfn-credentials}" 0400
}

cases=0 differing=0
# Two ways of the same call are compared by what is in $work/old.txt and $work/new.txt.
# judge NAME WHY: they differ when there is a WHY, and only then; differences are added to $found
judge() {
  local lines
  lines=$(diff --unchanged-line-format= --old-line-format='  old: %L' --new-line-format='  new: %L' \
    "$work/old.txt" "$work/new.txt") || true
  if [ -z "$lines$2" ]; then
    pass "same: $1"
  elif [ -z "$lines" ]; then
    fail "same, though a difference was expected: $1" "$2" "$(cat "$work/new.txt")" "stderr: $err"
  elif [ -z "$2" ]; then
    fail "differs: $1" "$lines" "stderr: $err"
  else
    pass "differs as explained: $1"
  fi
  [ -n "$lines" ] || return 0
  differing=$((differing + 1))
  printf '\n%s\n  why: %s\n%s\n' "$1" "${2:-UNEXPLAINED}" "$lines" >>"$found"
}
# golden FILE: the differences found are those of testdata/FILE, which UPDATE=1 makes anew
golden() {
  local file=$here/testdata/$1
  [ -z "${UPDATE:-}" ] || cp "$found" "$file"
  if diff -u "$file" "$found" >"$work/golden.diff" 2>&1; then
    pass "all $differing differences in $cases calls are those of testdata/$1"
  else
    fail "the differences are not those of testdata/$1" "$(cat "$work/golden.diff")"
  fi
}

stack() { "$here/openstack/stack" "$@"; }
# stack_vars NAME: set STACK_NAME and the other variables of "stack vars" to those of that stack
stack_vars() { # shellcheck source=/dev/null
  . "$work/$1.vars"
}
# await_status NAME STATUS: print the signals of the stack once it has that status, or after 30 s
await_status() {
  local end=$((SECONDS + 30)) s
  while s=$(stack signals "$1") && [ "$(jq -r .status <<<"$s")" != "$2" ] && [ $SECONDS -lt $end ]; do
    sleep 0.5
  done
  echo "$s"
}

# handle_secret: the secret key that signed $WAIT_URL, which only Keystone's administrator can see
handle_secret() {
  local access
  access=$(handle_access)
  ( # shellcheck source=/dev/null
    . "$OPENSTACK_DIR/admin.sh"
    curl -sSf -H "X-Auth-Token: $(/usr/bin/openstack token issue -f value -c id)" \
      "$OS_AUTH_URL/credentials/$(printf %s "$access" | sha256sum | cut -d' ' -f1)" |
      jq -r '.credential.blob | fromjson.secret')
}
handle_access() { sed 's/.*AWSAccessKeyId=\([0-9a-f]*\).*/\1/' <<<"$WAIT_URL"; }
# signed URL [AGE]: that handle's URL with the handle's own key and a time AGE ago
signed() {
  handle_secret | "$here/heat/sign" PUT "$1" "$(handle_access)" "$(date -u -d "-${2:-0 minutes}" +%FT%TZ)"
}

# no_secrets_left: nothing our tools left below /var and /run, logs least of all, holds a secret
# key or the signature of a handle's URL
no_secrets_left() {
  local vars found
  for vars in "$work"/*.vars; do
    # shellcheck source=/dev/null
    (. "$vars" && printf '%s\n' "$SECRET_KEY" "${WAIT_URL##*Signature=}" "$(jq -r .token <<<"$TOKEN_SIGNAL")")
  done >"$work/secrets"
  found=$(cd "$work/rooms" && grep -rlF -f "$work/secrets" --exclude-dir=.work --exclude-dir='old-*' --exclude-dir=etc .) || true
  is "no secret key, signature or token is left in a log or report" "$found" ""
}
