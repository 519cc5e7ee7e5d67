# shellcheck shell=bash
# cfn-get-metadata prints what Heat holds, however it is asked; sourced by heat.sh.

cat >"$work/metadata.json" <<'END'
{
  "AWS::CloudFormation::Init": {"config": {"files": {"/tmp/x": {"content": "a\n<b> & \"c\" ü €", "mode": "000600"}}}},
  "role": "web <server>", "empty": "", "none": null, "no": false, "zero": 0, "pi": 3.14,
  "a": {"a": {"b": "twice a"}, "fred.1": "dotted", "list": ["x", {"y": "z"}]}
}
END
new_stack metadata "$work/metadata.json"
held=$(stack metadata "$STACK_NAME" | jq -S .)
is "Heat holds the metadata of the template" "$held" "$(jq -S . "$work/metadata.json")"

# same WHAT: the last run printed what Heat holds
same() {
  if [ "$status" = 0 ] && [ "$(jq -S . <<<"$out" 2>&1)" = "$held" ]; then pass "$1"
  else fail "$1" "exit status $status" "stdout: $out" "stderr: $err"; fi
}
guest md
credentials md
run md cfn-get-metadata -s "$STACK_NAME" -r Guest --credential-file /etc/cfn/cfn-credentials
same "get-metadata with --credential-file prints what Heat holds"
lacks "get-metadata leaves the metadata out of stderr" "$err" "web <server>"
run md cfn-get-metadata --stack="$STACK_NAME" --resource=Guest
same "get-metadata finds /etc/cfn/cfn-credentials by itself"

guest keys
run keys cfn-get-metadata -s "$STACK_NAME" -r Guest --region "$REGION" --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
same "get-metadata with --access-key and --secret-key prints what Heat holds"
run keys cfn-get-metadata -s "$STACK_ID" -r Guest --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
same "get-metadata takes a stack id for a name"
is "get-metadata leaves the metadata for the next run" \
  "$(jq -S . "$work/rooms/keys/var/cache/heat-cfntools/last_metadata_Guest")" "$held"
is "its copies and their folder are private" \
  "$(cd "$work/rooms/keys/var/cache" && stat -c '%a %n' heat-cfntools heat-cfntools/last_metadata*)" \
  $'700 heat-cfntools\n600 heat-cfntools/last_metadata\n600 heat-cfntools/last_metadata_Guest'

# Without files of Heat's the place must be given.
mkdir -p "$work/rooms/bare"
run bare cfn-get-metadata -s "$STACK_NAME" -r Guest -u "$CFN_URL" --access-key "$ACCESS_KEY" --secret-key "$SECRET_KEY"
same "get-metadata takes --url without a path"
# Old metadata servers were written without the path, and boto's file knows only the host.
guest nopath "$CFN_URL"
credentials nopath
run nopath cfn-get-metadata -s "$STACK_NAME" -r Guest
same "get-metadata takes a cfn-metadata-server without a path"
rm "$work/rooms/nopath/var/lib/heat-cfntools/cfn-metadata-server" "$work/rooms/nopath/var/cache" -r
run nopath cfn-get-metadata -s "$STACK_NAME" -r Guest
same "get-metadata finds the server by cfn-boto-cfg alone"

key() { # WHAT KEY WANT
  run md cfn-get-metadata -s "$STACK_NAME" -r Guest -k "$2"
  if [ "$status" = 0 ]; then is "$1" "$out" "$3"; else ends "$1" 0; fi
}
key "get-metadata -k prints a string as JSON" role '"web <server>"'
key "get-metadata -k walks objects whose keys repeat" a.a.b '"twice a"'
key "get-metadata -k takes a dotted key in quotes" "a.'fred.1'" '"dotted"'
key "get-metadata -k takes a number into a list" a.list.1.y '"z"'
key "get-metadata -k prints a false" no false
run md cfn-get-metadata -s "$STACK_NAME" -r Guest -k a.b.c
ends "get-metadata -k of an absent key exits 1" 1
is "and prints nothing" "$out" ""

# Every refusal: no metadata of an earlier run in the room, so none may be printed.
refused() { # WHAT PART... : the last run failed, printed nothing, and says each PART
  local what=$1 part
  shift
  ends "$what exits 1" 1
  is "$what prints nothing on stdout" "$out" ""
  for part; do has "$what: stderr says \"$part\"" "$err" "$part"; done
  lacks "$what: no traceback of the server's" "$err" Traceback
}
guest refused
credentials refused
run refused cfn-get-metadata -s "$STACK_NAME" -r Forbidden --retry-for 20s
refused "a resource the guest may not read" "$STACK_NAME" Forbidden "$CFN_URL/v1/" "not authorized"
run refused cfn-get-metadata -s nosuchstack -r Guest
refused "an unknown stack" nosuchstack "$CFN_URL/v1/" "could not be found"
run refused cfn-get-metadata -s "$STACK_NAME" -r Guest --access-key "$ACCESS_KEY" --secret-key wrong --retry-for 20s
refused "a wrong secret key" "$STACK_NAME" Guest "$CFN_URL/v1/" "not authorized"
lacks "a wrong secret key is not shown" "$err" "$SECRET_KEY"

# A dead server: what an earlier run left is used, and it says so.
guest md http://127.0.0.1:9/v1/
run md cfn-get-metadata -s "$STACK_NAME" -r Guest --retry-for 1s
same "get-metadata falls back on its copy when the server is gone"
has "and names the server that is gone" "$err" "127.0.0.1:9"
