"""sudo of a rehearsal Mac: nobody becomes root, but who may, and with which password, is as on a real one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from macfleet.lab.environment import ROOT_MARK
from macfleet.lab.ownership import record_owner
from macfleet.lab.paths import MacDir
from macfleet.lab.state import State

RULES = "etc/sudoers.d"

# It runs dozens of times per command of macfleet, so it is sh, and reads the rules itself. The mark is all that being root means here.
# `read` takes a pipe byte by byte, as sudo does: what follows the password on stdin is still there for the command.
SCRIPT = r"""#!/bin/sh
# sudo of a rehearsal Mac; see macfleet/lab/sudo.py.
as=root never= listens= prompt='Password:' validates=
fail() { echo "sudo: $1" >&2; exit 1; }
# A rule of @RULES@ that lets this user start $1 without a password.
is_free() {
  for file in @RULES@/*; do
    case ${file##*/} in *.* | *'~') continue ;; esac
    [ -r "$file" ] || continue
    while read -r who rule || [ "$who" ]; do
      case $who in @USER@ | %admin | ALL) ;; *) continue ;; esac
      case $rule in *NOPASSWD:*) covers "${rule##*NOPASSWD:}" "$1" && return 0 ;; esac
    done <"$file"
  done
  return 1
}
covers() {
  case $1 in *ALL*) return 0 ;; esac
  case "$1," in *"/${2##*/},"* | *"/${2##*/} "*) return 0 ;; esac
  return 1
}
authenticate() {
  [ -z "$never" ] || fail "a password is required"
  if [ -z "$listens" ]; then
    printf 'sudo: a terminal is required to read the password; %s\n' \
      'either use the -S option to read from standard input or configure an askpass helper' >&2
    fail "a password is required"
  fi
  for tries in 0 1 2; do
    printf %s "$prompt" >&2
    if ! IFS= read -r password; then
      echo "sudo: no password was provided" >&2
      if [ "$tries" = 0 ]; then fail "a password is required"; fi
      fail "$tries incorrect password attempt$([ "$tries" = 1 ] || echo s)"
    fi
    if printf '%s\n' "$password" | dscl . -authonly @USER@ >/dev/null 2>&1; then
      dseditgroup -o checkmember -m @USER@ admin >/dev/null </dev/null && return 0
      echo @USER@" is not in the sudoers file." >&2
      echo "This incident has been reported to the administrator." >&2
      exit 1
    fi
    echo "Sorry, try again." >&2
  done
  fail "3 incorrect password attempts"
}
while [ $# -gt 0 ]; do
  case "$1" in
    -n) never=1; shift ;;
    -S) listens=1; shift ;;
    -v) validates=1; shift ;;
    -E|-H|-k|-K) shift ;;
    -p) prompt=$2; shift 2 ;;
    -u) as=$2; shift 2 ;;
    --) shift; break ;;
    -*) fail "a rehearsal Mac's sudo knows no $1" ;;
    *=*) export "$1"; shift ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || [ "$validates" ] || exit 0
[ "$@MARK@" ] || is_free "${1:-/usr/bin/true}" || authenticate
[ $# -gt 0 ] || exit 0
command -v "$1" >/dev/null || fail "$1: command not found"
if [ "$as" = root ]; then @MARK@=1; export @MARK@; else unset @MARK@; fi
exec "$@"
"""


def render_sudo(mac: MacDir, user: str) -> str:
    """The Mac's sudo: who its rules in /etc/sudoers.d let in needs no password, an administrator needs one, nobody else gets in."""
    words = {"@RULES@": shlex.quote(str(mac.root / RULES)), "@USER@": shlex.quote(user), "@MARK@": ROOT_MARK}
    return re.sub("@[A-Z]+@", lambda hole: words[hole[0]], SCRIPT)


def allow_without_password(mac: MacDir, state: State) -> None:
    """What a careful owner has written there before macfleet comes."""
    rule = mac.root / RULES / state.user
    rule.write_text(f"{state.user} ALL=(ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)
    record_owner(state, rule, "root", "wheel")


def take_rules(mac: MacDir) -> None:
    """Every rule out of sudo's sight, each kept as it is."""
    _kept(mac).mkdir(exist_ok=True)
    for rule in (mac.root / RULES).iterdir():
        rule.rename(_kept(mac) / rule.name)


def give_rules_back(mac: MacDir) -> None:
    """Those that were taken; one that was written meanwhile under the same name stays."""
    if not _kept(mac).exists():
        return
    for rule in _kept(mac).iterdir():
        if not (mac.root / RULES / rule.name).exists():
            rule.rename(mac.root / RULES / rule.name)
        else:
            rule.unlink()
    _kept(mac).rmdir()


def allow_some(mac: MacDir) -> tuple[str, ...]:
    """A rule that lets only a few programs run without a password; their names. `sudo -n true` says then that all is well."""
    programs = ("true", "sysctl", "launchctl")
    _some(mac).write_text("ALL ALL=(ALL) NOPASSWD: /usr/bin/true, /usr/sbin/sysctl, /bin/launchctl\n")
    return programs


def forbid_some(mac: MacDir) -> None:
    _some(mac).unlink(missing_ok=True)


def _some(mac: MacDir) -> Path:
    return mac.root / RULES / "some-programs"


def _kept(mac: MacDir) -> Path:
    return mac.path / "sudoers-taken"
