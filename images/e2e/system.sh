#!/usr/bin/env bash
# The tests that need root and a real machine: package managers against local
# repositories, full and read-only disks, power cuts, HAProxy, units under a booted systemd,
# the whole program and the server in that container, what cfn-push-stats sends, foreign clients of
# cfn-watch, and cfn-agent run.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
[ "$(id -u)" = 0 ] || { echo 'system.sh: must be root' >&2; exit 1; }
# Without the race detector, so that of all that is random there is more; but for what
# `make test` has at length.
go test -tags system -count=1 -skip RandomHistories ./agent/atomicfile ./agent/files ./agent/packages ./agent/powercut \
  ./agent/sources ./agent/stats ./cmd/cfn-watch ./watch ./watch/outbox ./watch/store
images/e2e/systemd.sh
make build
images/e2e/push.sh
images/e2e/clients.sh
images/e2e/guest/nspawn "${CFN_GUEST_DIR:-/var/tmp/cfn-agent-guest}/rootfs.tar" -b "$PWD/bin/cfn-agent:/usr/bin/cfn-agent" \
  -b "$PWD/images/e2e/booted.sh:/booted.sh" bash /booted.sh
images/e2e/guest/nspawn "${CFN_GUEST_DIR:-/var/tmp/cfn-agent-guest}/rootfs.tar" -b "$PWD/bin/cfn-watch:/usr/bin/cfn-watch" \
  -b "$PWD/images/e2e/booted-watch.sh:/booted-watch.sh" bash /booted-watch.sh
images/e2e/run.sh
