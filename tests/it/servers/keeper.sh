# Keeps one server for a test process: starts it, signals it, and, when that process is gone in
# whichever way, ends it and removes its folder.
#
# Arguments: the folder, the signal that ends the server in order, the server's command. Orders come
# one a line on standard input, and each is answered with a line. The end of the input means that
# the test process let go, or is gone.
set -u
folder=$1 ending=$2
shift 2
server=

children() { grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status | cut -d / -f 3; }

is_there() { grep -qs '^State:[[:space:]][^XZ]' "/proc/$1/status"; }

runs() { is_there "$server"; }

# PostgreSQL is one process for each connection. A stopped parent has no further children, and
# the children of a killed one are nobody's, so the order matters.
pause() {
    freeze "$server"
    for child in $(children); do freeze "$child"; done
}

# A signal takes effect when its process has its next turn, which a busy machine puts off.
freeze() {
    kill -s STOP "$1"
    while grep -qs '^State:[[:space:]][^TXZ]' "/proc/$1/status"; do
        sleep 0.005
    done
}

resume() {
    for child in $(children); do kill -s CONT "$child"; done
    kill -s CONT "$server"
}

end_at_once() {
    pause
    family="$server $(children)"
    # shellcheck disable=SC2086 # a list of numbers
    kill -s KILL $family
    wait "$server"
    server=
    # PostgreSQL does not start as long as a child of its last life holds on to the shared memory.
    for member in $family; do
        while is_there "$member"; do sleep 0.01; done
    done
}

end_in_order() {
    resume
    kill -s "$ending" "$server"
    tries=100
    while runs && [ "$tries" -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    runs && kill -s KILL "$server"
    wait "$server"
    server=
}

# A killed PostgreSQL leaves a segment of shared memory behind, which it names here.
remove_shared_memory() {
    segment=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m "$segment"
}

exec 3>&1 > "$folder/keeper.log" 2>&1
while read -r order; do
    case $order in
        start)
            "$@" < /dev/null >> "$folder/log" 2>&1 3>&- &
            server=$!
            ;;
        pause) pause ;;
        resume) resume ;;
        kill) end_at_once ;;
        stop) end_in_order ;;
    esac
    echo "$server" >&3
done
[ -z "$server" ] || end_at_once
remove_shared_memory
rm -rf "$folder"
