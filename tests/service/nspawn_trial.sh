#!/usr/bin/env bash
# Runs inside the container that nspawn.sh boots: installs, works, stops in the middle of a job, goes on, uninstalls.
set -euo pipefail
cd /root/dualface

SHARE=/srv/dualface

say() { printf '\n######## %s\n' "$*"; }

die() {
    say "FAILED: $*"
    systemctl status --no-pager dualface || true
    journalctl --no-pager -u dualface -n 50 || true
    exit 1
}

wait_until() {   # SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what="$2"
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "$what did not happen in time"
        sleep 0.5
    done
}

status_text() { systemctl show -P StatusText dualface; }
works_on() { status_text | grep -Eq "$1 (render|working)[^;]* [1-9][0-9]* %"; }

worker_pid() {   # of the running worker; a bare Debian has no pgrep
    local status
    for status in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' <"$status" 2>/dev/null | grep -q -- '-m daemon\.worker'; then
            basename "$(dirname "$status")"
            return
        fi
    done
}

drop() {   # NAME: a recording that ends in a box of its own, which nobody reads, so that it is not known from before
    cp "$sample" "/var/tmp/$1"
    printf '\000\000\000\050free%-32s' "$1" >>"/var/tmp/$1"
    chmod 644 "/var/tmp/$1"
    runuser -u editor -- cp "/var/tmp/$1" "$SHARE/inbox/$1"
}

say "The demonstration, on a bare machine"
./install.sh demo /root/demo
install -m 644 /root/demo/originals/interview.mp4 /var/tmp/sample.mp4
sample=/var/tmp/sample.mp4

say "Nothing happens in a dry run"
before="$(find /etc /opt /srv | sort | sha256sum)"
./install.sh service --dry-run >/root/dry-run.txt
[[ $before == "$(find /etc /opt /srv | sort | sha256sum)" ]] || die "a dry run changed something"

say "Install the service, twice"
./install.sh service
systemctl is-active dualface
./install.sh service
systemctl is-active dualface
systemd-analyze verify /etc/systemd/system/dualface.service
systemd-analyze security --no-pager --threshold=35 dualface | tail -n 1

say "An editor drops a file"
useradd -m -G dualface editor
runuser -u editor -- cp "$sample" "$SHARE/inbox/interview.mp4"
wait_until 120 "work on the file" works_on interview.mp4
systemctl status --no-pager dualface

say "Stop in the middle of the job"
begin=$SECONDS
systemctl stop dualface
echo "stopped after $((SECONDS - begin)) s: $(systemctl show -P Result,ExecMainStatus dualface | tr '\n' ' ')"
[[ $(systemctl show -P Result dualface) == success ]] || die "the service did not stop in order"
ls "$SHARE"/.dualface/jobs/*/checkpoint.json || die "no checkpoint was kept"
[[ ! -e $SHARE/outbox/interview.dual.mp4 ]] || die "the job was over already"

say "It goes on after a start"
systemctl start dualface
wait_until 300 "delivery" test -e "$SHARE/outbox/interview.dual.report.json"
/opt/dualface/bin/python - "$SHARE/outbox/interview.dual.report.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
print(report["status"], report["output"]["frames"], "frames,", report["resilience"])
assert report["output"]["frames"] == 600 and report["resilience"]["resumed_at_s"], "it did not go on from its checkpoint"
PYTHON
ls -l "$SHARE/outbox" "$SHARE/originals"

say "Operators ask, and change what they may while it runs"
job="$(journalctl -u dualface -o json --output-fields=JOB,EVENT | grep '"job delivered"' | tail -n 1 | sed 's/.*"JOB":"\([^"]*\)".*/\1/')"
journalctl --no-pager -u dualface JOB="$job" -o cat | grep -q '"job started"' || die "the journal cannot be filtered by JOB=$job"
journalctl --no-pager -u dualface JOB=nobody -o cat | grep -q . && die "the journal's filter lets everything through"
runuser -u editor -- dualface status
cp /etc/dualface/config.yaml /root/config.yaml
dualface config set workers.nice 7 --reason "a trial"
systemctl reload dualface
wait_until 20 "the new configuration" bash -c 'journalctl -u dualface -o cat | grep -q "workers.nice.*configuration taken over"'
mkdir /etc/dualface/config.d
echo 'settle: {local_s: soon}' >/etc/dualface/config.d/wrong.yaml
systemctl reload dualface && die "a wrong configuration was not refused"
systemctl kill --signal=HUP --kill-whom=main dualface
wait_until 20 "the word on the mistake" bash -c 'systemctl show -P StatusText dualface | grep -q "has mistakes"'
systemctl is-active dualface
rm -r /etc/dualface/config.d
systemctl reload dualface
install -m 644 /root/config.yaml /etc/dualface/config.yaml
runuser -u editor -- dualface pause --reason "lunch"
wait_until 20 "the pause" bash -c 'systemctl show -P StatusText dualface | grep -q "^paused (lunch"'
runuser -u editor -- dualface resume
dualface drain --reason "a trial"
dualface status | grep "drained: a trial"
dualface resume
runuser -u editor -- mv "$SHARE/outbox/interview.dual.mp4" "$SHARE/outbox/renamed by the editor.mp4"

say "systemd starts it again after it was killed, and it works again"
systemctl kill --signal=KILL --kill-whom=main dualface
wait_until 10 "the end" bash -c '! systemctl is-active --quiet dualface'
wait_until 60 "a restart" systemctl is-active --quiet dualface
runuser -u editor -- cp "$sample" "$SHARE/inbox/again.mp4"
wait_until 300 "delivery" test -e "$SHARE/outbox/again.dual.report.json"
sleep 1
systemctl status --no-pager dualface
journalctl --no-pager -u dualface -o cat | cut -c 1-220 | tail -n 12
journalctl -u dualface | grep -i "watchdog timeout" && die "the watchdog barked"
journalctl -u dualface | grep -i "read-only file system" && die "the confinement is in the way"

say "A worker that hangs is replaced, and its job goes on"
dualface config set workers.stall_timeout_s 20 --reason "a trial"
systemctl restart dualface
drop hang.mp4
wait_until 120 "work on the file" works_on hang.mp4
kill -STOP "$(worker_pid)" || die "there is no worker to stop"
wait_until 90 "the worker's replacement" bash -c 'journalctl -u dualface -o cat | grep -Eq "WORKER_STALLED|Nothing moved"'
wait_until 300 "delivery" test -e "$SHARE/outbox/hang.dual.report.json"
systemctl is-active dualface

say "The watchdog restarts a service that hangs, and its job goes on"
mkdir -p /run/systemd/system/dualface.service.d
printf '[Service]\nWatchdogSec=10\nRestartSec=2\n' >/run/systemd/system/dualface.service.d/50-trial.conf
systemctl daemon-reload
systemctl restart dualface
drop watchdog.mp4
wait_until 120 "work on the file" works_on watchdog.mp4
restarts="$(systemctl show -P NRestarts dualface)"
kill -STOP "$(systemctl show -P MainPID dualface)"
wait_until 60 "the watchdog" bash -c 'journalctl -u dualface | grep -qi "watchdog timeout"'
wait_until 60 "a restart" bash -c "[[ \$(systemctl show -P NRestarts dualface) -gt $restarts ]] && systemctl is-active --quiet dualface"
wait_until 300 "delivery" test -e "$SHARE/outbox/watchdog.dual.report.json"
rm -r /run/systemd/system/dualface.service.d
systemctl daemon-reload
systemctl restart dualface

say "A worker that is killed for memory is replaced, and its job goes on"
if systemctl set-property --runtime dualface MemoryMax=infinity && [[ $(systemctl show -P MemoryCurrent dualface) =~ ^[0-9]+$ ]]; then
    drop memory.mp4
    wait_until 120 "work on the file" works_on memory.mp4
    systemctl set-property --runtime dualface MemoryMax=300M
    wait_until 60 "a kill for memory" bash -c 'journalctl -u dualface -o cat | grep -Eq "SIGKILL|OUT_OF_MEMORY"'
    systemctl set-property --runtime dualface MemoryMax=infinity
    wait_until 300 "delivery" test -e "$SHARE/outbox/memory.dual.report.json"
    systemctl is-active dualface
else   # nspawn.sh, outside, puts the worker under a limit of the kernel's
    drop memory.mp4
    wait_until 120 "work on the file" works_on memory.mp4
    worker_pid >/root/limit-memory.pid
    wait_until 20 "the limit, for which a memory controller (cgroup v1 or v2) is needed" test -s /root/limit-memory.done
    wait_until 60 "a kill for memory" bash -c 'journalctl -u dualface -o cat | grep memory.mp4 | grep -Eq "SIGKILL|OUT_OF_MEMORY"'
    wait_until 300 "delivery" test -e "$SHARE/outbox/memory.dual.report.json"
    systemctl is-active dualface
fi
journalctl -u dualface -o cat | grep -E '"job waits"|"worker ended' | tail -n 3 || true

say "Uninstall"
install -m 644 /root/config.yaml /etc/dualface/config.yaml   # one that was changed would be kept
files="$(find "$SHARE" -type f ! -name 'status.*' | sort | sha256sum)"
./install.sh uninstall
for path in /opt/dualface /etc/dualface /var/cache/dualface /etc/systemd/system/dualface.service /etc/systemd/system/dualface.service.d \
    /etc/sysusers.d/dualface.conf /etc/systemd/system/multi-user.target.wants/dualface.service; do
    [[ ! -e $path ]] || die "$path is still there"
done
getent passwd dualface && die "the user is still there"
[[ $files == "$(find "$SHARE" -type f ! -name 'status.*' | sort | sha256sum)" ]] || die "files of the share changed"
./install.sh uninstall

say "All is well"
