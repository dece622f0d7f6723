#!/bin/sh
# One pass over the day files of auditfs: logtail prints what is new in each, here into a copy of the day.
# Tested; the reasons are in docs/SHIPPERS.md. From cron, never twice at a time:
#
#   * * * * *  root  flock -n /var/lib/shipper/lock /usr/local/sbin/logtail.sh
#
# Change: /mnt/audit (the mount), /var/lib/shipper (offset files), /var/log/shipped (the output).
set -u
status=0
# *.jsonl and not *: events/current is the newest day once more.
for day in /mnt/audit/events/*.jsonl; do
    name=${day##*/}
    # Not mounted: nothing matches, and the pattern stands for itself.
    [ -e "$day" ] || continue
    # An offset file for each day, in a place that survives reboots. `logtail`, not `logtail2`: day files are not rotated.
    logtail -f "$day" -o "/var/lib/shipper/$name.offset" >>"/var/log/shipped/$name" || status=$?
done
exit "$status"
