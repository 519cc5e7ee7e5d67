#!/bin/bash
# End-to-end test of cfn-init, cfn-get-metadata, cfn-signal and cfn-hup against a real Heat; see README.md.
#
#   heat.sh [SECTION...]     metadata, init, signal, hup, tls, old-tools; all by default
#
# Environment: UPDATE=1 rewrites testdata/differences.txt; KEEP=1 keeps the stacks and $work.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
export OPENSTACK_DIR=${OPENSTACK_DIR:-/var/lib/openstack-test}
sections=(metadata init signal hup tls old-tools)

# The binary as `make build` leaves it.
build() {
  if [ -e "$root/Makefile" ]; then
    make -s -C "$root" build
  else
    (cd "$root" && CGO_ENABLED=0 go build -o bin/cfn-agent ./cmd/cfn-agent)
  fi
}
# The cloud's daemons start before the private mounts below, so they live on the machine itself.
prepare() {
  build
  "$here/openstack/up"
  "$here/openstack/tls"
  # shellcheck source=openstack/common.sh
  (. "$here/openstack/common.sh" && install_packages heat-cfntools python3-boto)
}
if [ -z "${CFN_E2E_PRIVATE:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'heat.sh: must be root' >&2; exit 1; }
  for s in "$@"; do
    [[ " ${sections[*]} " == *" $s "* ]] || { echo "heat.sh: no section $s; there are ${sections[*]}" >&2; exit 2; }
  done
  prepare
  CFN_E2E_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
fi

# Rooms are overlays, and an overlay's upper layer may not lie in its lower one.
work=/mnt
mount -t tmpfs -o mode=0700 tmpfs $work
bin=$work/bin
mkdir $bin
cp "$root/bin/cfn-agent" $bin/
for tool in init get-metadata signal hup; do ln -s cfn-agent $bin/cfn-$tool; done

# shellcheck source=lib.sh
. "$here/lib.sh"
[ $# = 0 ] || sections=("$@")
run_id=e2e-$$
cleanup() {
  local f
  if [ -n "${KEEP:-}" ]; then
    cp -a $work "/tmp/$run_id"
    return
  fi
  for f in "$work"/*.vars; do
    [ ! -s "$f" ] || stack delete "$(basename "$f" .vars)" >/dev/null 2>&1 &
  done
  wait
}
trap cleanup EXIT

# new_stack NAME [METADATA.json]: create it under a name of this run; its variables are set after
new_stack() {
  stack create "$run_id-$1" ${2:+"$2"} >"$work/$run_id-$1.vars"
  stack_vars "$run_id-$1"
}
for section in "${sections[@]}"; do
  echo "# $section"
  # shellcheck source=/dev/null
  . "$here/heat/$section.sh"
done
no_secrets_left
summary
