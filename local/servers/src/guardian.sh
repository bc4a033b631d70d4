# Runs a program for as long as its owner holds the other end of standard input, which the kernel closes
# however the owner ends.
#
# usage: guardian.sh SIGNAL COMMAND...
# SIGNAL stops the program.
signal=$1
shift

# A background command gets /dev/null as standard input: keep the original as descriptor 3.
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!

(
    read -r _ <&3
    # Repeatedly: a program ignores these signals until it has set its handlers.
    while kill -s "$signal" "$program" 2>/dev/null; do sleep 0.05; done
) &
watcher=$!

wait "$program"
status=$?
# If the program exits, the watcher still waits for the owner.
kill "$watcher" 2>/dev/null
exit "$status"
