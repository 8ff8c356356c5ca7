# Words and locks shared by the set-up scripts; sourced, never run.
# POSIX sh. Every stop is one sentence that names what is missing and the fix.

say() { printf 'amanar: %s\n' "$*" >&2; }

stop() {
    printf 'amanar: %s\n' "$*" >&2
    exit 1
}

# One set-up at a time in this clone; the lock goes when the script ends.
lock_setup() {
    mkdir -p .amanar 2>/dev/null || stop "Cannot write to $(pwd)/.amanar: give this directory to $(id -un), or clone it anew."
    if ! { : >>.amanar/setup.lock; } 2>/dev/null; then
        stop "$(pwd)/.amanar belongs to $(stat -c %U .amanar): run this as that user, or remove .amanar."
    fi
    exec 9>>.amanar/setup.lock
    flock -w 900 9 || stop "Another set-up has held $(pwd)/.amanar/setup.lock for 15 minutes: end it and run this again."
}

# want_room MEGABYTES DIRECTORY PURPOSE
want_room() {
    free_mb=$(($(df -Pk "$2" | awk 'NR == 2 { print $4 }') / 1024))
    if [ "$free_mb" -lt "$1" ]; then
        stop "$3 needs $1 MB and the disk of $2 has $free_mb MB free: make room there and run this again."
    fi
}
