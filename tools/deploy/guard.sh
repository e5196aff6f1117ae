#!/bin/sh
# guard.sh BASE: runs before each start. A release on trial that was started twice and has never held gives way to the
# one before it, so a board whose power went in the middle of a deployment comes back by itself. It lies beside the releases.
base=$1
[ -f "$base/trial" ] || exit 0
new= old= starts=0
. "$base/trial"                       # new=ID old=ID
[ -n "$new" ] || exit 0
good=$(cat "$base"/var/neurorack/good-release /var/lib/neurorack/good-release 2>/dev/null | grep -x "$new")
if [ -n "$good" ]; then
    rm -f "$base/trial" "$base/trial.starts"
    exit 0
fi
[ ! -f "$base/trial.starts" ] || starts=$(wc -c < "$base/trial.starts")
if [ "$starts" -lt 2 ]; then
    printf . >> "$base/trial.starts"
    sync
    exit 0
fi
if [ -n "$old" ] && [ -f "$base/releases/$old/.complete" ]; then
    echo "neurorack: release $new did not start; going back to $old" >&2
    ln -s "releases/$old" "$base/current.$$" && mv -T "$base/current.$$" "$base/current" || exit 1
fi
rm -f "$base/trial" "$base/trial.starts"
sync
