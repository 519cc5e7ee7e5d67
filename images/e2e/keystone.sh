#!/bin/bash
# End-to-end test of who may push to cfn-watch, against a real Keystone and Heat; see README.md.
#
#   keystone.sh [SECTION...]     lookup, revoked, shown, gone; all by default
#
# The section gone stops Keystone and starts it again. Environment: KEEP=1 keeps the server's log.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
export OPENSTACK_DIR=${OPENSTACK_DIR:-/var/lib/openstack-test}
sections=(lookup revoked shown gone)
[ "$(id -u)" = 0 ] || { echo 'keystone.sh: must be root' >&2; exit 1; }
for s in "$@"; do
  [[ " ${sections[*]} " == *" $s "* ]] || { echo "keystone.sh: no section $s; there are ${sections[*]}" >&2; exit 2; }
done
[ $# = 0 ] || sections=("$@")

"$here/openstack/up"
# shellcheck source=openstack/common.sh
(. "$here/openstack/common.sh" && install_packages python3-boto)
work=$(mktemp -d)
run=e2e-keystone-$$
# shellcheck source=lib.sh
. "$here/lib.sh"
# shellcheck source=keystone/lib.sh
. "$here/keystone/lib.sh"
trap cleanup EXIT
prepare
for section in "${sections[@]}"; do
  echo "# $section"
  # shellcheck source=/dev/null
  . "$here/keystone/$section.sh"
done
stop_server
no_secrets
summary
