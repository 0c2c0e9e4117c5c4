# shellcheck shell=bash disable=SC2154  # root: set by whoever sources this
# Sourced by tools/demo and tools/test; defines `set_up LEVEL`, which makes .venv/ or finds it whole.
#
#   set_up run    the package and what it needs
#   set_up fast   the same, and the tools of the gate
#   set_up dev    the same, and open3d with its system libraries
#
# A stamp for the level says what was installed and is written last: an environment that a killed
# run left behind has none, and is made anew. PYTHON=python3.12 chooses the interpreter,
# VENV=.venv-3.12 another folder for the environment.

venv=$root/${VENV:-.venv}
mark=$venv/.made-by-plenostream  # an environment without it is somebody else's: hands off
# What open3d 0.20 links, beyond a bare Debian 12 or 13. README.md says the
# same; tests/tools/test_tools.py compares.
points_packages="libegl1 libgl1 libidn2-0 libusb-1.0-0 libx11-6"
no_packages="the packages could not be installed, see above. Run $0 again to go on."

say() { printf '%s\n' "$*" >&2; }
fail() { say "set-up: $*"; exit 1; }

# The version of an interpreter that will do, such as 3.12; nothing for any other.
version() {
  "$1" -c 'import sys; v = sys.version_info; v >= (3, 11) and print("%d.%d" % v[:2])' \
    2>/dev/null || true
}

# The line that a person can run to install Debian packages.
apt_line() {
  if [ "$(id -u)" -eq 0 ]; then
    echo "apt-get update && apt-get install $*"
  elif command -v sudo >/dev/null; then
    echo "sudo apt-get update && sudo apt-get install $*"
  else
    echo "su -c 'apt-get update && apt-get install $*'"
  fi
}

# Install Debian packages if that needs no password; otherwise fail without having asked for one.
apt_install() {
  local run=(env DEBIAN_FRONTEND=noninteractive)
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 1
    run=(sudo -n "${run[@]}")
  fi
  say "set-up: installing system packages: $*"
  # apt and debconf talk on both streams about what is no matter here: told only of a failure.
  local talk
  talk=$({ "${run[@]}" apt-get -qq update &&
    "${run[@]}" apt-get -qq install -y --no-install-recommends "$@"; } 2>&1 </dev/null) ||
    { say "$talk"; return 1; }
}

find_python() {
  local names=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11} name
  for name in $names; do
    [ -z "$(version "$name")" ] || { echo "$name"; return; }
  done
  fail "no Python 3.11 or newer here (tried: $names). Run this on Debian 12, Ubuntu 24.04 or newer
  $(apt_line python3 python3-venv)
or name one: PYTHON=/path/to/python3.12 $0"
}

make_venv() {
  local python=$1 package
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian keeps these apart from the interpreter, in a package named after its version.
    package=python$(version "$python")-venv
    if ! { apt_install "$package" && "$python" -c 'import ensurepip, venv' 2>/dev/null; }; then
      fail "$python cannot make virtual environments. Run this, then $0 again:
  $(apt_line "$package")"
    fi
  fi
  say "set-up: making ${venv#"$root"/} with $("$python" --version 2>&1)"
  rm -rf "$venv"
  mkdir "$venv"
  origin "$python" >"$mark"
  "$python" -m venv "$venv"
}

# Install this checkout, editable, with the extras named, if any: "dev,points".
pip_install() {
  # PIP_USER, where it is set, would be refused inside a virtual environment.
  # Not compiled: that takes longer than the rest of it, and most of 10,000 files are never imported.
  PIP_USER=0 "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-compile \
    --editable "$root${1:+[$1]}"
}

# True if open3d cannot be loaded, with the reason: the last line of the error.
open3d_lacks() {
  local said
  if said=$("$venv/bin/python" -c 'import open3d' 2>&1); then return 1; fi
  tail -n 1 <<<"$said"
}

install_dev() {
  local lacks
  # Without open3d some tests are skipped that read back what is exported: the lack of it stops nothing.
  if ! pip_install dev,points; then
    say "set-up: trying without open3d"
    pip_install dev || return
  elif lacks=$(open3d_lacks); then
    # shellcheck disable=SC2086  # several words are meant
    if ! { apt_install $points_packages && ! lacks=$(open3d_lacks); }; then
      say "set-up: open3d, for some tests, cannot be loaded: $lacks
  $(apt_line "$points_packages")"
    fi
  fi
}

# What an environment belongs to (one that was moved does not work), and what is installed in it: the
# package as a folder, and its compiled kernels.
origin() { echo "$root $(version "$1")"; }
stamp() {
  local native=$root/plenostream/integrator/native
  cat "$root"/pyproject.toml "$root"/tools/{set_up.sh,build_hook.py,compile_kernels.py} \
    "$native"/kernels/* "$native"/s{ources,tructs}.py | sha256sum
}

# True if .venv was made for this checkout, and with the interpreter asked for, if one was.
ours() {
  [ "$(cat "$mark" 2>/dev/null)" = "$(origin "$venv/bin/python")" ] &&
    { [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version "$venv/bin/python")" ]; }
}

stamped() { [ "$(cat "$venv/.stamp-$1" 2>/dev/null)" = "$(stamp)" ]; }

# True if what is set up will do for a level: this one, or one that has more.
will_do() {
  local levels="run fast dev" level
  for level in $1 ${levels##*"$1"}; do
    if stamped "$level"; then return; fi
  done
  return 1
}

set_up_alone() {
  local level=$1 python started=$SECONDS
  if ours && will_do "$level"; then
    return
  fi
  if [ -e "$venv" ] && [ ! -e "$mark" ] && [ -n "$(ls -A "$venv")" ]; then
    fail "$venv was not made by this script; move it away, then run $0 again"
  fi
  # An older environment that was whole is brought up to date, which is faster than a new one.
  if ! { ours && ls "$venv"/.stamp-* >/dev/null 2>&1; }; then
    python=$(find_python)
    make_venv "$python"
  fi
  rm -f "$venv"/.stamp-*
  case $level in
    dev)
      say "set-up: installing plenostream, what it needs, tools, open3d and Warp (3 GB; a minute or more)"
      install_dev || fail "$no_packages" ;;
    fast)
      say "set-up: installing plenostream, what it needs, tools and Warp (1.8 GB; a minute or more)"
      pip_install dev || fail "$no_packages" ;;
    *)
      say "set-up: installing plenostream and what it needs (0.9 GB; half a minute or more)"
      pip_install || fail "$no_packages" ;;
  esac
  stamp >"$venv/.part"
  mv "$venv/.part" "$venv/.stamp-$level"
  say "set-up: done in $((SECONDS - started)) s"
}

# Two at once (a demo beside a test run) take turns; the lock lies on the folder itself.
set_up() {
  exec 9<"$root"
  if command -v flock >/dev/null && ! flock --nonblock 9; then
    say "set-up: waiting for another set-up of this checkout"
    flock 9
  fi
  set_up_alone "$1"
  exec 9<&-
}
