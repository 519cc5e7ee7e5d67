#!/usr/bin/env bash
# Plans, applies, applies again and changes a document of metadata in a scratch
# root: no root user, no service and no network are needed.
set -euo pipefail
cd "$(dirname "$0")"
cfn_init=$PWD/../../bin/demo/cfn-agent
document=$PWD/metadata.json
CFN_ROOT=$(mktemp -d)
export CFN_ROOT
trap 'rm -rf "$CFN_ROOT" "$CFN_ROOT.json"' EXIT

say() { printf '\n== %s\n' "$*"; }
init() { "$cfn_init" init "$@"; }
summary() { sed -n 's/^  "\(outcome\|changed\)": \(.*\),$/\1 \2/p' "$CFN_ROOT/var/lib/cfn-init/report.json" | tr '\n' ' '; }
want() { # "OUTCOME" CHANGED
  local got; got=$(summary)
  [ "$got" = "outcome $1 changed $2 " ] || { echo "demo: the report says $got, want $1 and $2" >&2; exit 1; }
}

mkdir -p "$CFN_ROOT/srv/app" "$CFN_ROOT/var/log" "$CFN_ROOT/run"
echo '<h1>Wiki</h1>' >"$CFN_ROOT/srv/app/index.html"
tar -C "$CFN_ROOT/srv/app" -czf "$CFN_ROOT/srv/app.tar.gz" index.html

say "What would be done in an empty root (secrets are masked)"
init --dry-run "$document"

say "Applied"
init "$document"; want '"success"' 6
(cd "$CFN_ROOT" && find etc opt -type f -printf '%m %p\n' -o -type l -printf 'link %p -> %l\n' | sort -k2)

say "Applied again: nothing differs"
init "$document"; want '"success"' 0

say "One port changed: only that file moves"
sed 's/port = 8080/port = 8081/' "$document" >"$CFN_ROOT.json"
init --dry-run "$CFN_ROOT.json"
init "$CFN_ROOT.json"; want '"success"' 1

say "The report of the last run"
cat "$CFN_ROOT/var/lib/cfn-init/report.json"
say "Done: 6 changes, then 0, then 1"
