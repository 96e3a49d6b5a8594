#!/usr/bin/env bash
# Tries install.sh and the unit for real: in a fresh Debian 12 that systemd-nspawn boots. Not part of the test suite,
# as it needs root, about 3 GB in /var/tmp, Debian's mirror and a Python package index, and takes ten minutes.
#
#   sudo tests/service/nspawn.sh [DIR]      DIR (/var/tmp/dualface-nspawn) keeps the bare Debian for the next time
#
# The committed state is tried, not the working tree. The host's settings for pip (pip.conf, PIP_*, proxies,
# certificates) are passed on.
set -euo pipefail

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
WORK="${1:-/var/tmp/dualface-nspawn}"
BASE="$WORK/bookworm"
BOX="$WORK/box"

for tool in debootstrap systemd-nspawn git; do
    command -v "$tool" >/dev/null || {
        echo "nspawn.sh: there is no $tool. Install it: apt-get install debootstrap systemd-container git" >&2
        exit 3
    }
done

if [[ ! -e $BASE/etc/debian_version ]]; then
    rm -rf "$BASE"
    mkdir -p "$WORK"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,ca-certificates \
        bookworm "$BASE.part" >"$WORK/debootstrap.log"
    mv "$BASE.part" "$BASE"
fi

rm -rf "$BOX"
cp -a --reflink=auto "$BASE" "$BOX"
git clone -q --no-hardlinks "$REPO" "$BOX/root/dualface"
install -m 755 "$REPO/tests/service/nspawn_trial.sh" "$BOX/root/trial.sh"
# pip's settings of this host. A proxy or index is found as on the host; local package folders are not needed.
env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|(https?|no)_proxy|(HTTPS?|NO)_PROXY)=' \
    >"$BOX/root/pip.env" || true
pip_index="$(python3 -m pip config get global.index-url 2>/dev/null || true)"
[[ -z $pip_index ]] || echo "PIP_INDEX_URL=$pip_index" >>"$BOX/root/pip.env"
certificates="$(python3 -c 'import ssl; print(ssl.get_default_verify_paths().cafile or "")')"
[[ -z $certificates ]] || install -D -m 644 "$certificates" "$BOX/etc/ssl/certs/ca-certificates.crt"
echo "PIP_CERT=/etc/ssl/certs/ca-certificates.crt" >>"$BOX/root/pip.env"

cat >"$BOX/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
EnvironmentFile=/root/pip.env
Environment=HOME=/root LANG=C.UTF-8
ExecStart=/bin/bash -c '/root/trial.sh >/root/trial.log 2>&1; echo $? >/root/trial.exit'
ExecStopPost=/usr/bin/systemctl poweroff --no-block
[Install]
WantedBy=multi-user.target
UNIT
ln -s ../trial.service "$BOX/etc/systemd/system/multi-user.target.wants/trial.service"
sed -i '/^After=/d' "$BOX/etc/systemd/system/trial.service"
: >"$BOX/root/trial.log"

systemd-nspawn -q -b -D "$BOX" --register=no --keep-unit --resolv-conf=copy-host >"$WORK/console.log" 2>&1 &
container=$!

limit_memory() {   # of the process that the trial names, where the container's systemd has no memory controller to do it with
    local group=/sys/fs/cgroup/memory/dualface-trial inside pid
    until [[ -s $BOX/root/limit-memory.pid ]]; do
        kill -0 "$container" 2>/dev/null || return 0
        sleep 0.5
    done
    inside="$(<"$BOX/root/limit-memory.pid")"
    grep -lE "^NSpid:.*[[:space:]]$inside\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3 | while read -r pid; do
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- '-m daemon\.worker' || continue
        mkdir -p "$group" && echo 64M >"$group/memory.limit_in_bytes" && echo "$pid" >"$group/cgroup.procs" &&
            echo "limited" >"$BOX/root/limit-memory.done"
    done || true   # processes come and go while they are looked at
    while kill -0 "$container" 2>/dev/null; do sleep 1; done
    rmdir "$group" 2>/dev/null || true
}
limit_memory &
tail --pid="$container" -n +1 -f "$BOX/root/trial.log"
wait "$container" || true
code="$(cat "$BOX/root/trial.exit" 2>/dev/null || echo 1)"
[[ $code == 0 ]] && rm -rf "$BOX"
echo "exit code of the trial: $code (the container's console: $WORK/console.log)"
exit "$code"
