"""The shell side of a framed script: functions for POSIX sh that start, time, stop and frame commands.

Runs in the `sh` of a fresh Mac (bash 3.2) and in dash (a lab on Debian): no `timeout`, no Python, no arrays, no `wait -n`.
A command costs a fork in dash and two in bash; in a reading it costs less, see `lanes.py`. Around a whole script there are three
more: a ticker (`sleep` in a loop, it stands in for `timeout`), and a shell that reads stdin and ends with the line, so that a
command does not outlive its operator.

Why two in bash: its `wait` is left by longjmp when a tick comes, and a child that waitpid() has reaped at that very moment,
but that bash has not yet noted, is lost with its exit status. So there a command has a small shell of its own, which puts the
exit status into the answer. The script's shell, woken by a tick, asks only whether that small shell is still there.

File descriptors: 3 and 4 are where a command's stdout and stderr go, 5 is the line's stdin. The shell's own stderr is
/dev/null: bash would write "Terminated: 15" between the answers.
"""

# What the variables mean: n nonce, i index, p pid, t ticks that the command has run, over = it was told to stop,
# s exit status or `lost`, woken = a signal came since the last `wait` began, failed = a command has said so itself.
FUNCTIONS = r"""
mf_say() { printf '%s\n' "$n $1" >&3; printf '%s\n' "$n $1" >&4; }
# Processes below process $1, in `below`. A small Debian has no `ps`, macOS has no /proc.
mf_find_below() {
  below= parents=$1
  while [ "$parents" ]; do
    found=
    if [ -e /proc/self/task ]; then
      for one in $parents; do
        its=
        read -r its <"/proc/$one/task/$one/children"
        found="$found${its:+ $its}"
      done
    else
      set -- $(ps -A -o pid= -o ppid=)
      while [ $# -gt 1 ]; do
        case " $parents " in *" $2 "*) found="$found $1" ;; esac
        shift 2
      done
    fi
    below="$below $found" parents=$found
  done
}
mf_signal() {
  if [ "$own" = group ]; then
    whom="-$p"
    # Not `kill -TERM --`: dash takes the dashes for a number.
    kill -s "$1" -- "$whom" || kill -s "$1" "$p"
  else
    mf_find_below "$p"
    whom="$p $below $told" told="$below $told" # who has lost its parent since is found no more
    kill -s "$1" $whom
  fi
  # What sudo has started is root's, and only root may signal it.
  if [ "$root" ]; then sudo -n kill -s "$1" -- $whom </dev/null >/dev/null 3>&- 4>&- 5>&- & fi
}
mf_gone() {
  trap '' ALRM HUP PIPE USR2 # dash would run the next tick inside of this one
  if [ "$p" ]; then mf_signal TERM; sleep "$tick"; sleep "$tick"; mf_signal KILL; fi
  if [ "$d" ]; then rm -rf "$d"; fi
  exit 1
}
mf_tick() {
  woken=1
  t=$((t + 1))
  kill -s 0 "$line" || mf_gone
  if [ "$limit" -gt 0 ]; then
    if [ "$t" -eq "$limit" ]; then over=timeout; mf_signal TERM; fi
    if [ "$t" -eq $((limit + grace)) ]; then mf_signal KILL; fi
  fi
}
mf_feed() {
  case $coding in
    base64) printf %s "$payload" | base64 -d ;;
    *) printf %s "$payload" ;;
  esac
}
# Runs a command and puts its exit status into the answer, as `NONCE INDEX STATUS`. It has the command's process group and
# is told to stop with it, but is there until the command has ended.
mf_bash() {
  trap : TERM
  case $coding in
    '') (exec "$@") </dev/null >&3 2>&4 3>&- 4>&- ;;
    *) mf_feed | (exec "$@") >&3 2>&4 3>&- 4>&- ;;
  esac
  s=$?
  trap '' TERM
  printf '%s\n' "$n $i $s" >&3
  # Where a failure stops the script, it does not go away before the script's shell ($$) knows and kills it.
  # Again and again: a tick's longjmp can also skip the handler of another signal.
  if [ "$stop" ] && [ "$s" -ne 0 ]; then
    while kill -s USR2 "$$"; do sleep "$tick" 3>&- 4>&-; done
  fi
  exit "$s"
}
# All that a command has started ends with it: it has its own process group or, in dash, is told with all that is below it.
mf_start() {
  case $own$coding in
    group*) mf_bash "$@" 5>&- & ;;
    tree) (exec "$@") </dev/null >&3 2>&4 3>&- 4>&- 5>&- & ;;
    *) mf_feed | (exec "$@") >&3 2>&4 3>&- 4>&- 5>&- & ;;
  esac
  p=$! told=
}
mf_wait_dash() {
  while :; do
    woken=
    wait "$p"
    s=$?
    # 142 is 128 + SIGALRM: a tick woke the shell. 14 is ALRM on macOS and on Linux; USR1 would differ.
    [ "$woken" ] && [ "$s" -eq 142 ] || return 0
    if [ "$limit" -gt 0 ] && [ "$t" -gt $((limit + 2 * grace)) ]; then over=stuck; return 0; fi
  done
}
mf_wait_bash() {
  while :; do
    woken=
    wait "$p"
    s=$?
    # A signal's status can come without its trap. 127: `wait` knows of no such child.
    [ "$woken" ] || [ "$s" -ge 127 ] || break
    if [ "$failed" ]; then s=lost; kill -s KILL "$p"; break; fi
    # Whether it has ended: a process that was waited for, and be it in vain, is not there any more.
    if ! kill -s 0 "$p"; then
      case $woken:$s in
        1:* | :142 | :127) s=lost ;;
      esac
      break
    fi
    if [ "$limit" -gt 0 ] && [ "$t" -gt $((limit + 2 * grace)) ]; then over=stuck; return 0; fi
  done
  # SIGKILL ended the small shell; the command itself may hang on. (So does a zombie, in a container whose init reaps none.)
  while [ "$limit" -gt 0 ] && [ "$t" -ge $((limit + grace)) ] && kill -s 0 -- -"$p"; do
    if [ "$t" -gt $((limit + 2 * grace)) ]; then over=stuck; return 0; fi
    sleep "$tick"
  done
}
mf_run() {
  i=$1 limit=$2 root=$3
  shift 3
  t=0 over=done
  if command -v "$1" >/dev/null; then
    mf_start "$@"
    case $own in
      group) mf_wait_bash ;;
      *) mf_wait_dash ;;
    esac
  else
    s=127
    printf '%s: command not found\n' "$1" >&4
  fi
  p=
  trap '' ALRM # a tick would cut the marker in half while the line is slow and the pipe full
  mf_say "$i $s $over $t"
  trap mf_tick ALRM
  [ "$stop" ] || return 0
  case $s$over$failed in
    0done | lostdone) ;;
    *) mf_end ;;
  esac
}
mf_end() {
  trap '' ALRM
  mf_say end
  # A shell that was forked a moment ago still has our trap for TERM, and would lose that signal when it forgets the trap.
  kill -KILL $ticker "$line"
  exit 0
}
mf_ticker() {
  while sleep "$tick" && kill -s 0 "$$"; do kill -s ALRM $1; done </dev/null >/dev/null 3>&- 4>&- 5>&-
}
# Runs the commands in function $1 one after another, with a clock.
mf_one_by_one() {
  trap mf_tick ALRM
  trap 'woken=1 failed=1' USR2
  mf_ticker "$$" &
  ticker=$!
  "$1"
  kill -KILL "$ticker"
  ticker=
  trap : ALRM # not ignored: what is started next would ignore it, too
}
"""

# Behind the functions of `lanes.py`, if it is a reading.
PREPARE = r"""
exec 5<&0 </dev/null 3>&1 4>&2 2>/dev/null
trap mf_gone HUP PIPE TERM INT
export PATH LC_ALL
LC_ALL=C p= d= ticker= coding= payload= failed=
(exec 3>&- 4>&-; while read -r _ <&5; do :; done) >/dev/null &
line=$!
# dash has job control only on a terminal (and says so only outside of subshells). `setsid` for each command would cost as much
# as the command: 54 ms of CPU for 40 `/bin/echo`, and 32 without.
set -m
case $- in
  *m*) own=group ;;
  *) own=tree ;;
esac
mf_say begin
"""
