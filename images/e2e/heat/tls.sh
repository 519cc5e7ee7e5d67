# shellcheck shell=bash
# The same over HTTPS: another port, a path, a private CA; sourced by heat.sh.

secure=https://localhost:8443/heat-api-cfn/v1/
ca=$OPENSTACK_DIR/tls/ca.pem
COUNT=2 new_stack tls
held=$(stack metadata "$STACK_NAME" | jq -S .)

guest tls "$secure"
credentials tls
run tls cfn-get-metadata -s "$STACK_NAME" -r Guest --retry-for 1s
ends "get-metadata from a server with an unknown CA exits 1" 1
has "it names the server" "$err" "$secure"
has "it says what is wrong" "$err" "certificate signed by unknown authority"
run tls cfn-get-metadata -s "$STACK_NAME" -r Guest --insecure
ends "get-metadata --insecure does without the CA" 0

put tls /etc/cfn/ca-override.pem <"$ca"
rm -rf "$work/rooms/tls/var/cache"
run tls cfn-get-metadata -s "$STACK_NAME" -r Guest
ends "get-metadata with /etc/cfn/ca-override.pem exits 0" 0
is "it prints what Heat holds" "$(jq -S . <<<"$out" 2>&1)" "$held"
run tls cfn-init -s "$STACK_NAME" -r Guest
ends "init over HTTPS exits 0" 0
is "it wrote the file" "$(cat "$work/rooms/tls/tmp/cfn-test/hello")" "hello from heat"
run tls cfn-signal --stack "$STACK_NAME" --resource WaitHandle -e 0 -i w1 -d secure
ends "a signal by stack and handle over HTTPS exits 0" 0

guest env "$secure"
credentials env
put env /run/ca.pem <"$ca"
run env env SSL_CERT_FILE=/run/ca.pem cfn-get-metadata -s "$STACK_NAME" -r Guest
ends "get-metadata with SSL_CERT_FILE exits 0" 0
is "it prints what Heat holds" "$(jq -S . <<<"$out" 2>&1)" "$held"

url=$(signed "${secure%/}${WAIT_URL#"$CFN_URL"/v1}")
run failing-ca cfn-signal -e 0 -i w2 --retry-for 1s "$url"
ends "a signal by URL to an unknown CA exits 1" 1
has "it says what is wrong" "$err" "certificate signed by unknown authority"
run tls cfn-signal -e 0 -i w2 -d 'by url' "$url"
ends "a signal by URL over HTTPS exits 0" 0
complete=$(await_status "$STACK_NAME" CREATE_COMPLETE)
is "the stack is complete with our data" "$(jq -r .data <<<"$complete" | jq -cS .)" '{"w1":"secure","w2":"by url"}'
