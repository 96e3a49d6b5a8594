#!/usr/bin/env bash
# Sets dualface up: see usage below. Safe to run again; --dry-run shows every step and changes nothing.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage:
  ./install.sh demo [DIR]                 install into ./.venv, then show what dualface does, in DIR (./demo)
  ./install.sh test [PYTEST ARGUMENTS]    install into ./.venv, then run the tests
  sudo ./install.sh service [--root DIR] [--prefix DIR]
                                          install and start the systemd service; DIR: the share (/srv/dualface)
                                          and the place of the program (/opt/dualface)
  ./install.sh program [--prefix DIR]     install the program alone, as a container image does
  sudo ./install.sh uninstall             remove what `service` has installed; the share's files stay
Options:
  --dry-run    print every step and change nothing
  --cuda       install what an NVIDIA GPU needs, --cpu: what the CPU needs; without either, --cuda where there is a GPU
  --cluster    also install Ray, with which a service works on several hosts (service, program)
Environment:
  PYTHON       the Python to use, 3.11 or newer
  VENV         where demo and test install to, instead of ./.venv
TEXT
}

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly REPO
readonly CONFIG=/etc/dualface/config.yaml
readonly UNIT=/etc/systemd/system/dualface.service
readonly DROP_IN=/etc/systemd/system/dualface.service.d/10-install.conf
readonly SYSUSERS=/etc/sysusers.d/dualface.conf
readonly MODULES_LOAD=/etc/modules-load.d/dualface.conf
readonly LINK=/usr/local/bin/dualface
readonly CACHE=/var/cache/dualface
readonly ACCOUNT=dualface
readonly DEFAULT_ROOT=/srv/dualface

dry_run=no
extra=""
ray=""
root=""
prefix=/opt/dualface
rest=()

# --- output and commands

fail() {   # WHAT REMEDY [EXIT CODE]
    printf 'install.sh: %s\n            %s\n' "$1" "$2" >&2
    exit "${3:-3}"
}

step() {
    printf '==> %s\n' "$*"
}

do_it() {   # COMMAND ARGUMENTS...
    printf '   '
    printf ' %q' "$@"
    printf '\n'
    [[ $dry_run == yes ]] || "$@"
}

write_file() {   # PATH, content on standard input
    printf '    write %s\n' "$1"
    if [[ $dry_run == yes ]]; then
        sed -n '1,12s/^/      | /p'
        return
    fi
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

# --- Python

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "There is no Python 3.11 or newer." "Install one (Debian 12, Ubuntu 24.04: apt-get install python3), or set PYTHON."
}

need_venv() {   # PYTHON
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    local package
    package="$("$1" -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")')"
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        fail "$1 cannot make virtual environments." "Install the missing part: sudo apt-get install $package"
    fi
    step "Install $package, which makes virtual environments"
    do_it apt-get update -qq
    do_it env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"
}

make_venv() {   # DIRECTORY
    local python
    python="$(find_python)"
    need_venv "$python"
    step "Virtual environment in $1, with $python"
    if [[ -x $1/bin/python ]] && "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        printf '    is there already\n'
    elif [[ -f $1/pyvenv.cfg ]]; then
        do_it "$python" -m venv --clear "$1"   # an unfinished or broken one
    elif [[ -d $1 && -n $(ls -A "$1") ]]; then
        fail "$1 holds something else." "Name an empty or new folder." 2
    else
        do_it "$python" -m venv "$1"
    fi
}

pip_install() {   # VENV ARGUMENTS...
    local venv="$1"
    shift
    do_it "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --use-pep517 "$@" ||
        fail "pip could not install the packages." "See its message above; a proxy or index is set as pip documents (PIP_INDEX_URL)."
}

choose_extra() {
    [[ -z $extra ]] || return 0
    extra=cpu
    if [[ -e /dev/nvidiactl ]]; then
        extra=cuda
    fi
}

one_runtime() {   # VENV: onnxruntime and onnxruntime-gpu fill the same folder, so removing one breaks the other
    local other=onnxruntime
    [[ $extra == cuda ]] || other=onnxruntime-gpu
    if "$1/bin/python" -m pip show --quiet "$other" >/dev/null 2>&1; then
        step "Remove $other, in place of which the extra '$extra' has its own"
        do_it "$1/bin/python" -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu
    fi
}

install_editable() {   # VENV EXTRA
    step "Install dualface with the extras $2 and $extra; this takes a minute or two"
    one_runtime "$1"
    pip_install "$1" --editable "${REPO}[$2,$extra]"
}

# --- demo and test

demo() {
    local venv="${VENV:-$REPO/.venv}"
    make_venv "$venv"
    install_editable "$venv" demo
    step "Demonstration"
    do_it "$venv/bin/dualface" demo "${rest[@]}"
}

run_tests() {
    local venv="${VENV:-$REPO/.venv}"
    make_venv "$venv"
    install_editable "$venv" test
    step "Tests"
    cd "$REPO"
    # Without arguments all tests run, on all cores; one more process, as they wait more than they compute. A file stays
    # with one process, as its fixtures are shared.
    [[ ${#rest[@]} -gt 0 ]] || rest=(-n "$(($(nproc) + 1))" --dist loadfile --durations=25)
    do_it "$venv/bin/python" -m pytest "${rest[@]}"
}

# --- program

program() {
    make_venv "$prefix"
    install_program
}

# --- service

need_root() {
    if [[ $EUID -ne 0 && $dry_run == no ]]; then
        fail "This needs root." "Run it with sudo, or add --dry-run to see what it would do." 2
    fi
    command -v systemctl >/dev/null ||
        fail "There is no systemd here." "Run the service in the foreground instead: dualface run"
}

service() {
    need_root
    choose_root
    make_venv "$prefix"
    install_program
    install_command
    install_account
    check_program
    install_config
    install_share
    install_unit
    start_service
    examine
    print_next_steps
}

choose_root() {
    local configured=""
    if [[ -e $CONFIG ]]; then
        configured="$(sed -n 's/^  root: *\([^#]*[^# ]\).*$/\1/p' "$CONFIG" | head -n 1)"
        configured="${configured:-$DEFAULT_ROOT}"
    fi
    root="${root:-${configured:-$DEFAULT_ROOT}}"
    [[ $root == /* ]] || fail "--root must be an absolute path, not $root." "Give it from / on." 2
    [[ $root != *[[:space:]%\"\'\\]* ]] ||
        fail "The share's path must not hold blanks, quotes, backslashes or %." "Mount it at a plainer path." 2
    if [[ -n $configured && $configured != "$root" ]]; then
        fail "$CONFIG has share.root $configured, not $root." "Change it there first; this file is never overwritten." 2
    fi
}

install_program() {
    step "Program in $prefix, with the extra $extra$ray"
    one_runtime "$prefix"
    if [[ $dry_run == yes ]]; then
        pip_install "$prefix" "${REPO}[$extra$ray]"
        return
    fi
    # A copy, so that no build directory is left in the sources or taken from them.
    local sources
    sources="$(mktemp -d)"
    cp -R "$REPO"/{daemon,pipeline,engines,pyproject.toml,README.md,LICENSE} "$sources"
    pip_install "$prefix" --upgrade "${sources}[$extra$ray]"
    pip_install "$prefix" --force-reinstall --no-deps "$sources"
    rm -rf "$sources"
}

install_command() {
    step "The command dualface for everybody"
    if [[ -e $LINK && ! -L $LINK ]]; then
        printf '    %s is something else and stays; the command is %s\n' "$LINK" "$prefix/bin/dualface"
    else
        do_it ln -sfn "$prefix/bin/dualface" "$LINK"
    fi
}

install_account() {
    step "User and group $ACCOUNT"
    write_file "$SYSUSERS" <"$REPO/systemd/dualface.sysusers.conf"
    do_it systemd-sysusers "$SYSUSERS"
}

check_program() {
    [[ $dry_run == yes ]] && return
    (cd / && runuser -u "$ACCOUNT" -- "$prefix/bin/dualface" --version >/dev/null) ||
        fail "The user $ACCOUNT cannot run $prefix/bin/dualface." \
            "Remove $prefix and run this again with PYTHON=/usr/bin/python3: a Python in a home directory will not do."
}

install_config() {
    step "Configuration $CONFIG"
    if [[ -e $CONFIG ]]; then
        printf '    is there already and stays as it is\n'
        [[ $dry_run == yes ]] || "$prefix/bin/dualface" config check "$CONFIG"
        return
    fi
    fresh_config | write_file "$CONFIG"
}

fresh_config() {
    sed "s|^  #root: .*|  root: $root|" "$REPO/configs/config.yaml"
}

install_share() {
    step "Share in $root: what is there is kept; new folders belong to the group $ACCOUNT"
    local folder
    for folder in "$root" "$root"/{inbox,outbox,failed,originals,.dualface}; do
        if [[ ! -d $folder ]]; then
            do_it install -d -o "$ACCOUNT" -g "$ACCOUNT" -m 2775 "$folder"
        fi
    done
    # State of an earlier installation may belong to a user number that is gone.
    do_it chown -R "$ACCOUNT:$ACCOUNT" "$root/.dualface"
    [[ $dry_run == yes ]] && return
    for folder in "$root"/{inbox,outbox,failed,originals,.dualface}; do
        runuser -u "$ACCOUNT" -- test -w "$folder" -a -x "$folder" ||
            fail "The user $ACCOUNT may not write to $folder." "Give it access: chgrp $ACCOUNT $folder; chmod g+rwxs $folder"
    done
}

drop_in() {
    cat <<TEXT
# Made by install.sh: the paths that were chosen.
[Unit]
RequiresMountsFor=$root

[Service]
ExecStart=
ExecStart=$prefix/bin/dualface run --config $CONFIG
ExecReload=
ExecReload=$prefix/bin/dualface config check $CONFIG
ExecReload=/bin/sh -c 'kill -HUP "\$MAINPID"'
ReadWritePaths=
ReadWritePaths=$root
TEXT
    case $root/ in
    /home/* | /root/* | /run/user/*)
        printf '# The share lies in a home directory.\nProtectHome=read-only\n'
        ;;
    esac
}

install_unit() {
    step "systemd unit"
    write_file "$UNIT" <"$REPO/systemd/dualface.service"
    drop_in | write_file "$DROP_IN"
    if modinfo nvidia-uvm >/dev/null 2>&1; then
        step "Load NVIDIA's memory module at boot"
        write_file "$MODULES_LOAD" <"$REPO/systemd/dualface.modules-load.conf"
        do_it modprobe nvidia-uvm
    fi
}

start_service() {
    step "Start it, now and at every boot"
    do_it systemctl daemon-reload
    do_it systemctl enable --quiet dualface.service
    do_it systemctl restart dualface.service ||
        fail "The service does not start." "See why: journalctl -u dualface -n 20"
}

print_next_steps() {
    cat <<TEXT

dualface watches $root/inbox. The results are in $root/outbox.
  What it is doing:   systemctl status dualface      journalctl -u dualface -f      dualface status
  Let somebody drop files:   usermod -aG $ACCOUNT NAME
  Settings:           $CONFIG, then: systemctl reload dualface
TEXT
}

examine() {
    step "Results of \`dualface doctor\`, as the user $ACCOUNT"
    do_it runuser -u "$ACCOUNT" -- env CACHE_DIRECTORY="$CACHE" \
        bash -c 'umask 0002; cd /; exec "$@"' bash "$prefix/bin/dualface" doctor --config "$CONFIG" ||
        fail "The service cannot work as things are." "Follow the remedies above, then check again: dualface doctor"
}

# --- uninstall

uninstall() {
    need_root
    if [[ -e $DROP_IN ]]; then
        prefix="$(sed -n 's|^ExecStart=\(/.*\)/bin/dualface .*|\1|p' "$DROP_IN")"
        root="$(sed -n 's|^ReadWritePaths=\(/.*\)|\1|p' "$DROP_IN")"
    fi
    step "Stop the service and remove its unit"
    if [[ -e $UNIT ]]; then
        do_it systemctl disable --now --quiet dualface.service
    fi
    do_it rm -f "$UNIT" "$DROP_IN" "$MODULES_LOAD"
    [[ ! -d ${DROP_IN%/*} ]] || do_it rmdir --ignore-fail-on-non-empty "${DROP_IN%/*}"
    do_it systemctl daemon-reload
    uninstall_program
    uninstall_config
    uninstall_account
    printf '\nThe share%s and its files are untouched.\n' "${root:+ $root}"
}

uninstall_program() {
    step "Remove the program"
    [[ $(readlink "$LINK") != "$prefix/bin/dualface" ]] || do_it rm -f "$LINK"
    if [[ -x $prefix/bin/dualface && -f $prefix/pyvenv.cfg ]]; then
        do_it rm -rf "$prefix"
    else
        printf '    %s holds no dualface\n' "$prefix"
    fi
    do_it rm -rf "$CACHE"
}

uninstall_config() {
    step "Remove the configuration, unless it was changed"
    root="${root:-$DEFAULT_ROOT}"
    if [[ -e $CONFIG ]] && fresh_config | cmp -s - "$CONFIG"; then
        do_it rm -f "$CONFIG"
    elif [[ -e $CONFIG ]]; then
        printf '    %s was changed and stays\n' "$CONFIG"
    fi
    [[ ! -d ${CONFIG%/*} ]] || do_it rmdir --ignore-fail-on-non-empty "${CONFIG%/*}"
}

uninstall_account() {
    step "Remove the user and group $ACCOUNT"
    if [[ -e $SYSUSERS ]]; then
        do_it rm -f "$SYSUSERS"
        if getent passwd "$ACCOUNT" >/dev/null; then
            do_it userdel "$ACCOUNT"
        fi
        if getent group "$ACCOUNT" >/dev/null; then
            do_it groupdel "$ACCOUNT"
        fi
    fi
}

# --- command line

needs_value() {
    [[ $# -ge 2 && -n $2 ]] || fail "$1 needs a value." "For example: $1 /mnt/nas/dualface" 2
}

main() {
    local command="${1:-}"
    [[ $# -eq 0 ]] || shift
    while [[ $# -gt 0 ]]; do
        case "$1" in
        --dry-run) dry_run=yes ;;
        --cuda | --cpu) extra="${1#--}" ;;
        --cluster) ray=",cluster" ;;
        --root) needs_value "$@"; root="${2%/}"; shift ;;
        --prefix) needs_value "$@"; prefix="${2%/}"; shift ;;
        *) rest+=("$1") ;;
        esac
        shift
    done
    choose_extra
    case "$command" in
    demo) demo ;;
    test) run_tests ;;
    program | service | uninstall)
        [[ ${#rest[@]} -eq 0 ]] || fail "$command does not know ${rest[0]}." "See: ./install.sh --help" 2
        "$command"
        ;;
    -h | --help | help) usage ;;
    *) usage >&2; exit 2 ;;
    esac
}

main "$@"
