#!/usr/bin/env bash
# Installs the Debian packages that test-system, bench and the e2e targets need.
# What is there already is not touched, so that it costs nothing the second time.
set -euo pipefail
packages=(
  # a booted systemd in a container
  mmdebstrap qemu-utils e2fsprogs systemd-container iproute2
  # local repositories, and the package managers that read them
  rpm createrepo-c dpkg-dev dnf zypper python3-pip python3-venv ruby
  # what a power cut leaves
  strace
  # foreign clients of the alarm server
  awscli
  # what is measured against
  heat-cfntools python3-boto python3-psutil curl time
  # to talk to a real Heat, and to HAProxy
  jq haproxy socat openssl
)
missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || { echo "these packages are missing, and installing them needs root: ${missing[*]}" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends "${missing[@]}"
