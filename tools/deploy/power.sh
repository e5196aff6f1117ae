#!/bin/sh
# power.sh BASE REQUEST: as root, does what the instrument asked for in the file REQUEST, and nothing else. It lies beside the releases.
base=$1 file=$2
[ -f "$file" ] && [ ! -L "$file" ] || exit 0
request=$(head -c 200 "$file" | head -n 1)
rm -f "$file"                          # taken: the instrument waits for this
case $request in
shutdown) exec systemctl --no-block poweroff ;;
reboot) exec systemctl --no-block reboot ;;
"release "*)
    new=${request#release }
    case $new in "" | .* | *[!A-Za-z0-9._-]*) exit 2 ;; esac
    [ -f "$base/releases/$new/.complete" ] || { echo "neurorack: release $new is not whole" >&2; exit 2; }
    old=$(basename "$(readlink "$base/current")")
    rm -f "$base/trial.starts" "$base/var/neurorack/good-release" /var/lib/neurorack/good-release
    printf 'new=%s\nold=%s\n' "$new" "$old" > "$base/.trial" && mv -f "$base/.trial" "$base/trial"      # guard.sh goes back if it does not start
    ln -s "releases/$new" "$base/current.$$" && mv -T "$base/current.$$" "$base/current" || exit 1
    sync
    exec systemctl --no-block restart neurorack.service ;;
*) echo "neurorack: there is no request of this kind" >&2; exit 2 ;;
esac
