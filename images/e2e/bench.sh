#!/bin/bash
# What our tools cost, against heat-cfntools, a bare Go client and bare writes; needs root and Debian 12.
#
#   bench.sh [-runs N] [-old-runs N] [-file-runs N] [-minutes N] [-polls N]
#
# Environment: BENCH_DIR is a directory on the disk that files are written to (default /var/tmp);
# CFN_AGENT is the binary that is measured (default bin/cfn-agent).
# The clients ask a server on loopback in a network and mounts of their own, so the machine's port
# 8000, /etc and /var stay as they are. It fails when a bound is exceeded.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)

# Debian's packages, and the programs that are compared, built as ours was.
prepare() {
  local p tags
  # shellcheck source=openstack/common.sh
  (. "$here/openstack/common.sh" && install_packages heat-cfntools python3-boto python3-psutil curl iproute2) ||
    { echo 'bench.sh: heat-cfntools is missing and cannot be installed: there is nothing to compare with' >&2; exit 1; }
  cp "${CFN_AGENT:-$root/bin/cfn-agent}" "$CFN_BENCH/cfn-agent"
  tags=$(go version -m "$CFN_BENCH/cfn-agent" | sed -n 's/^\tbuild\t-tags=//p')
  for p in server bareclient barefiles measure; do
    (cd "$root" && CGO_ENABLED=0 go build -trimpath -tags "$tags" -ldflags '-s -w' -o "$CFN_BENCH/$p" "./images/e2e/bench/$p")
  done
  for p in init get-metadata signal push-stats; do ln -s cfn-agent "$CFN_BENCH/cfn-$p"; done
  mkdir "$CFN_BENCH/scratch"
}
if [ -z "${CFN_BENCH:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'bench.sh: must be root' >&2; exit 1; }
  CFN_BENCH=$(mktemp -d "${BENCH_DIR:-/var/tmp}/cfn-bench-XXXXXX")
  export CFN_BENCH
  trap 'rm -rf "$CFN_BENCH"' EXIT
  prepare
  unshare --mount --propagation private --net "$0" "$@"
  exit
fi

# Rooms are overlays, and an overlay's upper layer may not lie in its lower one. The disk is
# reached beside them, since they hide /var.
work=/mnt
mount -t tmpfs -o mode=0700 tmpfs $work
mkdir $work/bench
mount --bind "$CFN_BENCH" $work/bench
# shellcheck source=lib.sh
. "$here/lib.sh"
guest bench http://127.0.0.1:8000/v1/
ACCESS_KEY=bench SECRET_KEY=bench credentials bench
# What Heat 9 and older told cfn-push-stats, and a template tells cfn-hup.
echo 'cloudwatch_region_endpoint = 127.0.0.1' >>$work/rooms/bench/var/lib/heat-cfntools/cfn-boto-cfg
put bench /etc/cfn/cfn-hup.conf <<'END'
[main]
stack = old
credential-file = /etc/cfn/cfn-credentials
END
put bench /etc/cfn/hooks.d/hook.conf <<'END'
[hook]
triggers = post.update
path = Resources.Guest.Metadata
runas = root
action = true
END

ip link set lo up
ip address add 169.254.169.254/32 dev lo
$work/bench/server 127.0.0.1:8000 127.0.0.1:8003 169.254.169.254:80 &
trap 'kill %1' EXIT
until curl -sf -o /dev/null http://127.0.0.1:8000/counted/signals; do
  kill -0 %1
  sleep 0.1
done
"$here/room" $work/rooms/bench $work/bench/measure -tools $work/bench -bare $work/bench -scratch $work/bench/scratch "$@"
