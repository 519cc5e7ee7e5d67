# shellcheck shell=bash
# Debian's heat-cfntools and ours, called alike on the same stack; every difference is listed with
# its reason in testdata/differences.txt, which is made again here. Sourced by heat.sh.

found=$work/found.txt
cat >"$found" <<'END'
Where this project's tools differ from heat-cfntools 1.4.2 (Debian 12), found by running both alike
on a real Heat: standard output, exit status and, for init, the files left in /etc, /tmp and
/var/cache; for signal, what Heat received. JSON files are compared as JSON. Standard error and logs
are not compared. "images/e2e/heat.sh old-tools" makes this file again; UPDATE=1 keeps the new one.
END

# compare WHY COMMAND...: run COMMAND by the old tools and by ours, each in a room that setup made.
# WHY is empty when they must not differ. $patience is added to our command only: the old tools
# never try again, ours do for a minute and more.
compare() {
  local why=$1 who room more name=${title:-${*:2}}
  shift
  cases=$((cases + 1))
  for who in old new; do
    room=$who-$cases more=()
    guest "$room"
    setup "$room"
    [ $who = old ] || more=("${patience[@]}")
    tools=${side[$who]} run "$room" "${@//ID/$room}" "${more[@]}"
    { echo "exit status $status"
      [ -z "$out" ] || sed 's/^/stdout: /' <<<"$out"
      effects "$room"; } | plain >"$work/$who.txt"
  done
  judge "$(plain <<<"${name//$'\n'/\\n}")" "$why"
}
declare -A side=([old]=/usr/bin [new]=$bin)
patience=() title='' wrong='' expired=''
# plain: what changes from run to run is named instead
plain() {
  local text
  text=$(cat)
  [ -z "$wrong" ] || text=${text//"$wrong"/URL_WITH_A_WRONG_SIGNATURE}
  [ -z "$expired" ] || text=${text//"$expired"/URL_OF_20_MINUTES_AGO}
  text=${text//"$WAIT_URL"/WAIT_URL} text=${text//"$STACK_NAME"/STACK}
  text=${text//"$ACCESS_KEY"/ACCESS} text=${text//"$SECRET_KEY"/SECRET}
  text=${text//old-$cases/ID}
  echo "${text//new-$cases/ID}"
}

# effects ROOM: the files a tool left, and what it wrote there
effects() {
  local f text
  mkdir -p "$work/rooms/$1/var/cache"
  (cd "$work/rooms/$1" && find etc tmp var/cache \( -type f -o -type l \) ! -path 'etc/cfn/*' ! -name '.pwd.lock' | LC_ALL=C sort) |
    while read -r f; do
      if [ -L "$work/rooms/$1/$f" ]; then
        echo "link /$f to $(readlink "$work/rooms/$1/$f")"
        continue
      fi
      text=$(jq -cS objects "$work/rooms/$1/$f" 2>/dev/null) || true
      [ -n "$text" ] || text=$(jq -Rs . "$work/rooms/$1/$f")
      echo "file /$f $(stat -c '%a %u:%g' "$work/rooms/$1/$f") $text"
    done
}

# ---------------------------------------------------------------- cfn-get-metadata
cat >"$work/both.json" <<'END'
{
  "AWS::CloudFormation::Init": {"config": {"files": {"/tmp/cfn-test/greeting":
    {"content": "hello ü €\n", "mode": "000640"}},
    "commands": {"01": {"command": "echo $WORD >>/tmp/cfn-test/ran", "env": {"WORD": "hi", "PATH": "/usr/bin:/bin"}}}}},
  "role": "web", "empty": "", "none": null, "no": false, "zero": 0, "name": "ü",
  "a": {"a": {"b": "twice a"}, "fred.1": "dotted", "list": ["x", {"y": "z"}]}
}
END
COUNT=50 new_stack both "$work/both.json"
usage='a missing option is status 1, as from aws-cfn-bootstrap; a wrong one is 2'
get=(cfn-get-metadata -s "$STACK_NAME" -r Guest)

setup() { credentials "$1" /etc/cfn/keys; }
with=("${get[@]}" --credential-file /etc/cfn/keys)
compare '' "${with[@]}"
compare '' "${get[@]}" --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
compare '' "${with[@]}" --region nowhere
compare '' "${with[@]}" -k role
compare '' "${with[@]}" -k a
compare '' "${with[@]}" -k "a.'fred.1'"
compare '' "${with[@]}" -k name
compare '' "${with[@]}" -k empty
compare 'heat-cfntools lost its way where a key repeats one above it, and said nothing' "${with[@]}" -k a.a.b
compare 'heat-cfntools could not look into lists' "${with[@]}" -k a.list.1.y
compare 'an absent key is an error' "${with[@]}" -k missing
compare 'heat-cfntools took null for absent' "${with[@]}" -k none
compare '' "${with[@]}" -k no
compare '' "${with[@]}" -k zero
compare "$usage" cfn-get-metadata -s "$STACK_NAME" --credential-file /etc/cfn/keys
compare '' "${get[@]}" --cred /etc/cfn/keys
compare '' "${get[@]}" --nosuch-option
patience=(--retry-for 5s)
compare '' "${get[@]}" --credential-file /nosuch
compare '' "${get[@]}" --access-key "$ACCESS_KEY" --secret-key wrong
compare '' cfn-get-metadata -s nosuchstack -r Guest --credential-file /etc/cfn/keys
compare '' cfn-get-metadata -s "$STACK_NAME" -r Forbidden --credential-file /etc/cfn/keys

setup() { printf 'AWSAccessKeyId = %s\r\n\r\nAWSSecretKey = %s\r\n' "$ACCESS_KEY" "$SECRET_KEY" | put "$1" /etc/cfn/keys; }
compare '' "${with[@]}"

setup() { echo '{"role": "local"}' | put "$1" /var/lib/heat-cfntools/cfn-init-data; }
compare 'what is found on the machine is not kept as what Heat last said of a resource' "${get[@]}"
compare '' "${get[@]}" --access-key "$ACCESS_KEY" --secret-key wrong
setup() { printf http://127.0.0.1:9/v1/ | put "$1" /var/lib/heat-cfntools/cfn-metadata-server; }
compare 'heat-cfntools read the port wrongly and always asked port 8000; the server named here is dead' \
  "${get[@]}" --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
setup() { :; }
compare 'nothing found is an error' "${get[@]}"

# ---------------------------------------------------------------- cfn-init
patience=()
said='ours says in one line what it did'
init=(cfn-init -s "$STACK_NAME" -r Guest)
compare "$said" "${init[@]}" --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
setup() { credentials "$1"; }
compare 'heat-cfntools never read /etc/cfn/cfn-credentials, and cfn-init had nothing to apply' "${init[@]}"

# document WHY JSON OPTION...: both apply a document that was left in the guest
document() {
  local why=$1 json=$2
  shift 2
  setup() { printf %s "$json" | put "$1" /var/lib/heat-cfntools/cfn-init-data; }
  title="cfn-init${*:+ $*} of $json"
  compare "$why" cfn-init "$@"
  title=''
}
# config JSON: a document whose only config is JSON
config() { jq -nc --argjson c "$1" '{"AWS::CloudFormation::Init": {config: $c}}'; }
one='"command": "echo one >>/tmp/ran"' two='"2": {"command": "echo two >>/tmp/ran"}'
document "$said" "$(config "{\"commands\": {\"1\": {$one}, $two}}")"
document '' "$(config "{\"commands\": {\"1\": {\"command\": \"exit 3\"}, $two}}")"
document "$said" "$(config "{\"commands\": {\"1\": {\"command\": \"exit 3\", \"ignoreErrors\": \"true\"}, $two}}")"
document "$said" "$(config "{\"commands\": {\"1\": {$one, \"test\": \"false\"}, $two}}")"
document "$said" "$(config "{\"commands\": {\"1\": {$one, \"cwd\": \"/nosuch\"}, $two}}")"
document "$said" "$(config "{\"commands\": {\"1\": {\"test\": \"true\"}, $two}}")"
document "$said" "$(config '{"commands": {"1": {"command": ["sh", "-c", "echo \"$0\" >>/tmp/ran", "a  b"]}}}')"
document "$said; heat-cfntools had no lists in \"test\" and ended there" \
  "$(config "{\"commands\": {\"1\": {$one, \"test\": [\"true\"]}, $two}}")"
document "$said; heat-cfntools took only strings in \"env\" and ended there" \
  "$(config "{\"commands\": {\"1\": {\"command\": \"echo \$N >>/tmp/ran\", \"env\": {\"N\": 1}}, $two}}")"
document "$said; heat-cfntools emptied the file and ended there" "$(config '{"files": {"/tmp/a.json": {"content": {"a": 1}}}}')"
document "$said; heat-cfntools wrote base64 as it stood" \
  "$(config '{"files": {"/tmp/a": {"content": "aGVsbG8=", "encoding": "base64"}}}')"
document "$said; heat-cfntools wrote the name of the target into a file" \
  "$(config '{"files": {"/tmp/a": {"content": "/tmp/b", "mode": "120777"}}}')"
document "$said" "$(config '{"files": {"/tmp/deep/er/a": {"content": "", "mode": "000400", "owner": "root", "group": "root"}}}')"
document "$said" "$(config '{"files": {"/tmp/a": {"content": "x", "owner": "nobody-here"}}}')"
sets=$(jq -c . <<'END'
{"AWS::CloudFormation::Init": {"configSets": {"default": ["b", "a"], "all": [{"ConfigSet": "default"}, "c"]},
  "a": {"files": {"/tmp/a": {"content": "a"}}}, "b": {"files": {"/tmp/b": {"content": "b"}}}, "c": {"files": {"/tmp/c": {"content": "c"}}}}}
END
)
document "$said" "$sets"
document "$said" "$sets" -c default
document "$said; heat-cfntools ended at a set that names a set" "$sets" -c all
document '' "$sets" -c nosuch
document '' '{"role": "web"}'
document '' '{"AWS::CloudFormation::Init": {}}'
document '' 'not json'
setup() { :; }
compare '' cfn-init

# ---------------------------------------------------------------- cfn-signal
# Heat's own record of the signal is what is compared; the id is the room's name.
effects() { stack signals "$STACK_NAME" | jq -cS --arg id "$1" '"Heat has \(.signals[$id])"' -r; }
line='ours says in one line that the signal was delivered'
compare "$line" cfn-signal -e 0 -i ID "$WAIT_URL"
compare "$line" cfn-signal -i ID -d $'data "1"\nü' -r 'well done' "$WAIT_URL"
compare "$line" cfn-signal --success true --id ID --exit 0 "$WAIT_URL"
compare "$line" cfn-signal -s false -e 0 -i ID "$WAIT_URL"
compare "$line" cfn-signal -e '' -i ID "$WAIT_URL"
expired=$(signed "$WAIT_URL" '20 minutes')
wrong=${WAIT_URL/Signature=/Signature=AAAA}
patience=(--retry-for 5s)
lost='heat-cfntools took a refused signal for a delivered one'
compare "$lost" cfn-signal -e 0 -i ID "$wrong"
compare "$lost" cfn-signal -e 0 -i ID "$expired"
setup() { credentials "$1"; }
compare 'ours signs an expired URL again with the keys of /etc/cfn/cfn-credentials' cfn-signal -e 0 -i ID "$expired"
setup() { :; }
compare "heat-cfntools ended with curl's status" cfn-signal -e 0 -i ID http://127.0.0.1:9/
compare "$usage" cfn-signal -e 0 -i ID
# These come last: a failure ends the wait.
patience=()
compare "$line"'; any of true, yes and 1 in any case is a success' cfn-signal -s True -i ID "$WAIT_URL"
compare "$line"'; the number decides, not its spelling' cfn-signal -e 00 -i ID "$WAIT_URL"
compare "$line"'; a failure has a reason that says so' cfn-signal -e 1 -i ID "$WAIT_URL"
compare "$line" cfn-signal -e 2 -r 'it broke' -i ID "$WAIT_URL"
compare "$line"'; a failure has a reason that says so' cfn-signal -s no -i ID "$WAIT_URL"

golden differences.txt
