# Runs a Postgres server for as long as its owner holds the other end of our standard input, which
# the kernel closes however the owner ends.
#
# usage: guardian.sh SIGNAL FOLDER COMMAND...
# SIGNAL stops the server; FOLDER, unless it is empty, is deleted once the owner has gone.
signal=$1
folder=$2
shift 2

# A background command gets /dev/null as its standard input: keep ours as descriptor 3.
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!

(
    read -r _ <&3
    # From here on the work must be done to the end.
    trap '' TERM
    # More than once: before the server has set its handlers it ignores these signals.
    while kill -s "$signal" "$server" 2>/dev/null; do sleep 0.05; done
    exit 0
) &
watcher=$!

wait "$server"
status=$?
# The watcher that still waits for the owner is killed: the server ended by itself, and its data
# stays for the owner to start it again.
kill "$watcher" 2>/dev/null
if wait "$watcher" && [ -n "$folder" ]; then rm -rf -- "$folder"; fi
exit "$status"
