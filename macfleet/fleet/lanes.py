"""The shell side of a reading: several lanes, each running its commands one after another in the foreground.

A reading is what every run does on every Mac, and most of its commands take a millisecond or two: so a command costs one fork and
one exec, as in a plain script, and hardly anything else. `shell.py` gives a command a process group of its own, a wait that a tick
can end and, in bash, a shell of its own; that is twice the price, and worth it only where something is changed.

Who looks at the clock is one watcher beside the lanes. A command that is past its time has no process group to be told by, so the
watcher looks for the processes below its lane; that costs a `ps`, and only then.

What a lane begins it writes into `log` in the script's temporary directory, as `LANE COMMAND LIMIT ROOT`. Beside it are only the
lanes' outputs and, where a command ran for longer than a tick, `N.ticks`; `N.over`: it was told to stop; `K.stuck`: not even SIGKILL
ended the command in it, so lane K was left behind, and another one does what remained for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import Command

LANES = 4  # how many commands run at once: one slow one (system_profiler, ibv_devinfo) holds up no other


def share_out(commands: Sequence[Command]) -> list[list[int]]:
    """Which lane runs which commands, by their indices; every lane has some.

    Fixed beforehand: a file for each command, that says who has it, costs as much as the command. Who may take long has a long
    deadline, and those are kept apart.
    """
    lanes: list[list[int]] = [[] for _ in range(min(LANES, len(commands)))]
    loads = [0.0] * len(lanes)
    for index in sorted(range(len(commands)), key=lambda index: -commands[index].timeout_s):
        lane = loads.index(min(loads))
        lanes[lane].append(index)
        loads[lane] += commands[index].timeout_s
    return [sorted(lane) for lane in lanes]


READING = r"""
mf_read() {
  i=$1
  if [ "$behind" ]; then
    if [ "$i" = "$behind" ]; then behind=; fi
    return 0
  fi
  printf '%s\n' "$lane $i $2 $3" >&6
  shift 3
  if command -v "$1" >/dev/null; then
    case $coding in
      '') (exec "$@") >&3 2>&4 3>&- 4>&- 6>&- ;;
      *) mf_feed | (exec "$@") >&3 2>&4 3>&- 4>&- 6>&- ;;
    esac
    s=$?
  else
    s=127
    printf '%s: command not found\n' "$1" >&4
  fi
  t=0 over=done
  if [ -e "$d/$i.ticks" ]; then read -r t <"$d/$i.ticks"; fi
  if [ -e "$d/$i.over" ]; then over=timeout; fi
  mf_say "$i $s $over ${t:-0}"
}
mf_lane() {
  lane=$1 behind=$3
  exec 3>"$d/$1.out" 4>"$d/$1.err" 5>&- 6>>"$d/log"
  mf_say begin
  "mf_looks_$2"
  printf '%s\n' "$lane -" >&6
  exit 0
}
# What sudo has started is root's, and only root may signal it.
mf_signal_below() {
  case $below in *[0-9]*) ;; *) return 0 ;; esac
  kill -s "$1" $below
  if [ "$2" ]; then sudo -n kill -s "$1" $below </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 7<&- & fi
}
mf_catch_up() {
  while read -r its what a b <&7; do
    case $what in
      pid) eval "pid_$its=$a"; known="$known $its" ;;
      *) eval "now_$its=$what limit_$its=$a root_$its=$b t_$its=0" ;;
    esac
  done
}
mf_tell() {
  mf_find_below "$pid"
  mf_catch_up
  eval "now=\$now_$k"
  if [ "$now" != "$i" ]; then return 0; fi # it has ended meanwhile, and what was found may be the next one's
  true >"$d/$i.over"
  mf_signal_below "$1" "$root"
}
mf_tick_lane() {
  k=$1
  eval "i=\$now_$k limit=\$limit_$k root=\$root_$k pid=\$pid_$k t=\$((t_$k + 1))"
  eval "t_$k=$t"
  case $i in '' | -) return 0 ;; esac
  printf '%s\n' "$t" >"$d/$i.ticks"
  case $((t - limit)) in
    0) mf_tell TERM ;;
    "$grace") mf_tell KILL ;;
    "$((2 * grace + 1))") printf '%s\n' "$i" >"$d/$k.stuck"; kill -s KILL "$pid" ;;
  esac
}
# The operator is gone: nobody shall start another command, and those under way end.
mf_desert() {
  trap '' HUP PIPE TERM
  mf_catch_up
  all=
  for k in $known; do
    eval "pid=\$pid_$k now=\$now_$k"
    if [ "$now" = - ]; then continue; fi
    kill -s STOP "$pid"
    mf_find_below "$pid"
    all="$all $below"
    kill -s KILL "$pid"
  done
  below=$all
  mf_signal_below TERM 1
  sleep "$tick"; sleep "$tick"
  mf_signal_below KILL 1
  rm -rf "$d"
  kill -s TERM "$$"
  exit 1
}
mf_watch() {
  known=
  exec 7<"$d/log"
  while sleep "$tick" && kill -s 0 "$$" && kill -s 0 "$line"; do
    mf_catch_up
    for k in $known; do mf_tick_lane "$k"; done
  done
  if [ -d "$d" ]; then mf_desert; fi
}
mf_start_lane() {
  mf_lane "$1" "$2" "$3" &
  printf '%s\n' "$1 pid $!" >>"$d/log"
  eval "lane_$1=$! list_$1=$2"
}
mf_replace_stuck() {
  read -r i <"$d/$1.stuck"
  printf '%s\n' "$n $i lost stuck 0" >>"$d/$1.out"
  printf '%s\n' "$n $i lost stuck 0" >>"$d/$1.err"
  printf '%s\n' "$1 -" >>"$d/log"
  last=$((last + 1))
  eval "mf_start_lane $last \$list_$1 $i"
}
mf_side_by_side() {
  d=$(mktemp -d "${TMPDIR:-/tmp}/macfleet.XXXXXX") || { d= ; mf_one_by_one mf_looks; return 0; }
  run=mf_read
  true >"$d/log"
  for k in $lanes; do mf_start_lane "$k" "$k" ''; done
  mf_watch </dev/null >/dev/null 3>&- 4>&- 5>&- &
  ticker=$! last=$k k=1
  while [ "$k" -le "$last" ]; do
    eval "wait \$lane_$k"
    if [ -e "$d/$k.stuck" ]; then mf_replace_stuck "$k"; fi
    k=$((k + 1))
  done
  cat "$d"/*.out >&3
  cat "$d"/*.err >&4
  kill -KILL "$ticker"
  rm -rf "$d"
  d= ticker= run=mf_run
}
"""
