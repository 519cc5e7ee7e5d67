#!/bin/bash
# What cfn-watch costs, against a bare HTTP handler and Debian's Prometheus, Pushgateway and
# Alertmanager; needs root and Debian 12.
#
#   bench-watch.sh [-seconds N] [-alarms N] [-only intake|fleet|tls|loop|action|inside]
#
# Environment: BENCH_DIR is a directory on the disk that stores are on (default /var/tmp).
# It runs on a loopback of its own, and fails when a bound is exceeded.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${BENCH_WATCH:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'bench-watch.sh: must be root' >&2; exit 1; }
  # shellcheck source=openstack/common.sh
  (. "$here/openstack/common.sh" && install_packages prometheus prometheus-alertmanager prometheus-pushgateway iproute2) ||
    { echo 'bench-watch.sh: prometheus and the others are missing and cannot be installed: there is nothing to compare with' >&2; exit 1; }
  BENCH_WATCH=$(mktemp -d "${BENCH_DIR:-/var/tmp}/cfn-bench-watch-XXXXXX")
  export BENCH_WATCH
  trap 'rm -rf "$BENCH_WATCH"' EXIT
  (cd "$root" && go build -trimpath -o "$BENCH_WATCH/watch" ./images/e2e/bench/watch)
  unshare --net "$0" "$@"
  exit
fi
ip link set lo up
"$BENCH_WATCH/watch" -program "$root/bin/cfn-watch" -root "$root" -dir "$BENCH_WATCH" "$@"
