#!/bin/bash
# The service part of the public template WordPress_Single_Instance_With_HA, unchanged, in a booted
# guest: from the user data that Heat makes of it to the alarm that counts its failures.
#
#   ha.sh
#
# cloud-init runs the template's own user data; its cfn-init installs and starts the services, its
# crontab runs cfn-hup each minute, and the hook of its metadata reports to a recording alarm server.
# Needs root, Go, Debian 12 and bin/cfn-agent. The guest has no network but a loopback. Three minutes,
# since cron's are waited for.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${CFN_GUEST_DIR:-/var/tmp/cfn-agent-guest}
# Of openstack/heat-templates, commit 29b8ce6c5ea5 (Apache License 2.0).
template=$here/ha/WordPress_Single_Instance_With_HA.template
[ "$(id -u)" = 0 ] || { echo 'ha.sh: must be root' >&2; exit 1; }
"$here/deps.sh"
"$here/ha/tree" "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "_rpmdir $work/repo" --define '_binary_payload w1.gzdio' \
  --define '__os_install_post %{nil}' "$here/ha/fedora17.spec"
createrepo_c --quiet "$work/repo"

# What Heat would make of the template's references.
values=$(jq '(.Parameters | map_values(.Default // "")) + {
    "AWS::StackName": "wordpress", "AWS::Region": "RegionOne", HttpFailureAlarm: "wordpress-HttpFailureAlarm",
    WebServerKeys: "0123456789abcdef0123456789abcdef", "WebServerKeys.SecretAccessKey": "634186ce92536da1b268e925973d9b80",
    WaitHandle: "http://127.0.0.1:8000/v1/waitcondition/wordpress/WaitHandle?Signature=x"}' "$template")
resolved() { # PATH: that part of the template with its references resolved
  jq -L "$here/ha" --argjson values "$values" "include \"resolve\"; .Resources.WikiDatabase | $1 | resolve" "$template" "${@:2}"
}
resolved .Metadata >"$work/metadata.json"
resolved .Properties.UserData -r >"$work/cfn-userdata"
"$here/guest/heat-userdata" -m "$work/metadata.json" -s http://127.0.0.1:8000/v1/ -w http://127.0.0.1:8003/v1/ \
  -u ec2-user "$work/cfn-userdata" >"$work/user-data"

tools=()
for tool in init get-metadata signal hup push-stats create-aws-symlinks; do tools+=(-b "$root/bin/cfn-agent:/usr/bin/cfn-$tool"); done
NETNS=/proc/self/ns/net "$here/served" "$work" "$here/guest/nspawn" "$cache/ha" -u "$work/user-data" "${tools[@]}" \
  -b "$work/repo:/repo" -b "$here/lib.sh:/lib.sh" -b "$here/ha/guest.sh:/guest.sh" -b "$work/record:/record" bash /guest.sh
