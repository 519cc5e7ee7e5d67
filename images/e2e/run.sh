#!/bin/bash
# cfn-agent run under a booted systemd: a service that hangs is restarted and reported, one that never
# comes back is left alone, and the heartbeat pauses meanwhile.
#
#   run.sh
#
# Needs root, Go, Debian 12 and bin/cfn-agent.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${CFN_GUEST_DIR:-/var/tmp/cfn-agent-guest}
[ "$(id -u)" = 0 ] || { echo 'run.sh: must be root' >&2; exit 1; }
"$here/deps.sh"
"$here/guest/prepare" "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '{}' >"$work/metadata.json"
NETNS=/proc/self/ns/net "$here/served" "$work" "$here/guest/nspawn" "$cache/rootfs.tar" -b "$root/bin/cfn-agent:/usr/bin/cfn-agent" \
  -b "$here/lib.sh:/lib.sh" -b "$here/run/guest.sh:/guest.sh" -b "$work/record:/record" bash /guest.sh
