# What this board is like, one "name=value" a line; deploy.sh sends it through ssh. Changes nothing.
say() { printf '%s=%s\n' "$1" "$2"; }
say machine "$(uname -m)"
say system "$(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME")"
say model "$(tr -d '\000' < /proc/device-tree/model 2>/dev/null)"
say home "$HOME"
if [ "$(id -u)" = 0 ]; then say root yes
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then say root sudo
else say root no; fi
for python in python3 python3.13 python3.12 python3.11 /opt/neurorack/python/bin/python3 "$HOME/.local/opt/neurorack/python/bin/python3"; do
    if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        say python "$(command -v "$python")"
        break
    fi
done
command -v rsync >/dev/null && say rsync yes
command -v tar >/dev/null && say tar yes
: "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"
export XDG_RUNTIME_DIR
[ -d /run/systemd/system ] && say systemd yes
systemctl --user show-environment >/dev/null 2>&1 && say user_manager yes
say free_mb "$(df -Pm "$HOME" | awk 'NR == 2 { print $4 }')"
