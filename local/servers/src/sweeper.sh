# Deletes the folder $1 once its owner no longer holds the other end of our standard input, which
# the kernel closes however the owner ends.
read -r _
# A server that is being stopped at the same time may still write: ten seconds are plenty.
tries=200
while [ -e "$1" ] && [ "$tries" -gt 0 ]; do
    rm -rf -- "$1"
    tries=$((tries - 1))
    sleep 0.05
done
