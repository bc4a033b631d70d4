# Runs a program for as long as its owner holds the other end of our standard input,
# which the kernel closes however the owner ends.
#
# usage: guardian.sh SIGNAL COMMAND...
# SIGNAL is what stops the program.
signal=$1
shift

# A background command gets /dev/null as its standard input: keep ours as descriptor 3.
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!

(
    read -r _ <&3
    # More than once: before the program has set its handlers it ignores these signals.
    while kill -s "$signal" "$program" 2>/dev/null; do sleep 0.05; done
) &
watcher=$!

wait "$program"
status=$?
# If the program ended by itself, the watcher still waits for the owner.
kill "$watcher" 2>/dev/null
exit "$status"
