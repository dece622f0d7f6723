#!/bin/bash
# Follows the day files of auditfs with GNU tail -F, one tail for each day, into a copy of each day.
# Tested; the reasons are in docs/SHIPPERS.md. It runs until it is stopped, for instance as a systemd service.
#
# Change: /mnt/audit (the mount), /var/log/shipped (the copies; their length is the only state).
set -u
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 0' TERM INT
declare -A follower=()
while true; do
    # *.jsonl and not *: events/current is the newest day once more, and tail -F on it would miss late records of the day before.
    for day in /mnt/audit/events/*.jsonl; do
        name=${day##*/}
        copy=/var/log/shipped/$name
        [[ -e $day ]] || continue
        if [[ -z ${follower[$name]:-} ]] || ! kill -0 "${follower[$name]}" 2>/dev/null; then
            # Byte N of a day file is the same byte for ever: going on behind the copy repeats nothing and skips nothing.
            have=$(stat -c %s "$copy" 2>/dev/null || echo 0)
            tail -F -c "+$((have + 1))" "$day" >>"$copy" &
            follower[$name]=$!
        fi
    done
    # In the background: a signal ends `wait` at once.
    sleep 1 &
    wait $!
done
