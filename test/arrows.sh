#!/bin/sh
# The rooms of csrc/ stand one above the other: there is no circle of rooms that
# need each other. A room is a C file with its header. It needs the rooms whose
# headers it includes, and those whose functions it calls.
set -eu
objects=${BUILD:-build}/obj

included() {
  for file in csrc/*.[ch]; do
    room=$(basename "${file%.*}")
    sed -n "s/^#include \"\(.*\)\.h\"/$room \1/p" "$file"
  done
}

called() {
  for object in "$objects"/*.o; do
    nm -g "$object" | sed "s/^/$(basename "$object" .o) /"
  done | awk '
    $(NF - 1) == "U" { needs[++n] = $1; name[n] = $NF; next }
    { home[$NF] = $1 }
    END { for (; n > 0; n--) if (name[n] in home) print needs[n], home[name[n]] }'
}

pairs=$(included && called)
echo "$pairs" | grep -q 'rounds task' || { echo "no arrows found"; exit 1; }
echo "$pairs" | tsort >/dev/null
