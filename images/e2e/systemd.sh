#!/bin/bash
# System test of agent/services: real units under a real systemd, and a real init script without one.
#
#   systemd.sh [go test flags, e.g. -test.run TestRealSystemd]
#
# Needs root, Go, and on Debian 12 (apt, without recommends): mmdebstrap qemu-utils e2fsprogs
# systemd-container iproute2. The tree of the containers is made once, below $CFN_GUEST_DIR.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${CFN_GUEST_DIR:-/var/tmp/cfn-agent-guest}
[ "$(id -u)" = 0 ] || { echo 'systemd.sh: must be root' >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$here/guest/prepare" "$cache"
(cd "$root" && CGO_ENABLED=0 go test -c -tags system -o "$work/services.test" ./agent/services)

# guest COMMAND...: in a container that is gone afterwards
guest() {
  "$here/guest/nspawn" "$cache/rootfs.tar" -b "$work/services.test:/services.test" "$@"
}
status=0
echo '# with systemd'
guest /services.test -test.v -test.run '^TestReal' -test.skip TestRealSysvinit "$@" || status=1
echo '# with init scripts: nothing of systemd can be seen'
guest unshare --mount --propagation private sh -euc '
  for dir in /run/systemd /run/dbus; do mount -t tmpfs tmpfs $dir; done
  exec /services.test -test.v -test.run TestRealSysvinit' || status=1
exit $status
