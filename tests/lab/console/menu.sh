# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The login shell of an emulated firewall, run by busybox: a numbered menu in which 5 and then 3 is the shell.
# `-c COMMAND` is not looked at, since nobody knows what a real one does with it. What it does otherwise than by
# default comes by variables, see `server.Ways`.
BUSYBOX=${BUSYBOX:?}
PATH=$CONSOLE_PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
trap '' INT

note() { printf '%s\n' "$1" >>"$CONSOLE_LOG"; }

show() { # show TEXT: line by line, as slowly as asked for
  printf '%b' "$1" | while IFS= read -r line; do
    [ -z "$SLOW" ] || $BUSYBOX sleep "$SLOW"
    printf '%s\n' "$line"
  done
}

ask() { # ask PROMPT: sets $choice
  [ -z "$SLOW" ] || $BUSYBOX sleep "$SLOW"
  printf '%s' "$1"
  if [ "$KEYS" = single ]; then
    IFS= read -r -n1 choice || exit 0
    echo
  else
    IFS= read -r choice || exit 0
  fi
  note "chose $choice"
}

line() { # line PROMPT: sets $choice, in either mode
  printf '%s' "$1"
  IFS= read -r choice || exit 0
}

# The first N times whatever is chosen is not understood, or leads back.
fewer() { # fewer NAME: whether there is one left
  eval "left=\${$1:-0}"
  [ "$left" -gt 0 ] || return 1
  eval "$1=$((left - 1))"
}

main_menu() {
  show "\nSophos Firmware Version: SFOS 22.0.0 GA-Build411\nModel: LAB\nHostname: fw1\n"
  [ -z "$HA" ] || show "HA node name: node1\nHA status: Primary # of 2 nodes > active\n"
  case $WORDING in
    numbers) show "\nMain Menu\n\n    1.  Network  Configuration\n    4.  Device Management\n    6.  VPN Management\n    7.  Device Console\n    0.  Exit\n\n" ;;
    foreign | harmful) show "\nHauptmenü\n\n    1) Netzwerk\n    4) Konsole\n    5) Geräteverwaltung\n    7) Herunterfahren\n    0) Beenden\n\n" ;;
    bare) ;;
    *) show "\nMain Menu\n\n    1.  Network  Configuration\n    2.  System   Configuration\n    3.  Route    Configuration\n    4.  Device Console\n    5.  Device Management\n    6.  VPN Management\n    7.  Shutdown/Reboot Device\n    0.  Exit\n\n" ;;
  esac
}

device_menu() {
  case $WORDING in
    numbers) show "\nDevice Management\n\n    1.  Reset to Factory Defaults\n    2.  Advanced Shell\n    3.  Flush Device Reports\n    0.  Exit\n\n" ;;
    foreign) show "\nGeräteverwaltung\n\n    1) Werkseinstellungen\n    2) Firmware\n    3) Erweiterte Shell\n    0) Beenden\n\n" ;;
    bare) ;;
    harmful) show "\nDevice\n\n    1.  Show Firmware(s)\n    3.  Reset to Factory Defaults\n    0.  Exit\n\n" ;;
    *) show "\nDevice Management\n\n    1.  Reset to Factory Defaults\n    2.  Show Firmware(s)\n    3.  Advanced Shell\n    4.  Flush Device Reports\n    0.  Exit\n\n" ;;
  esac
}

prompt() {
  case $WORDING in
    foreign | harmful) ask "    Menünummer [0-7] > " ;;
    *) ask "    Select Menu Number [0-7]: " ;;
  esac
}

start_shell() {
  note shell
  show "\nSophos Firmware Version: SFOS 22.0.0 GA-Build411\n\n"
  PS1='XGS_LAB_SFOS 22.0.0 GA-Build411# ' $BUSYBOX sh
  note "shell left"
}

device() {
  device_menu
  prompt
  case $WORDING$choice in
    0) ;;
    numbers2 | foreign3 | bare3 | 3) start_shell ;;
    *) show "\n    Invalid Menu Selection\n" ;;
  esac
}

note "login"
[ -z "$BANNER" ] || show "$BANNER"
if [ -n "$SILENT" ]; then show "Please wait: $SILENT\n"; $BUSYBOX cat >/dev/null; fi
if [ -n "$TERMS" ]; then
  show "\nCopyright 2026. By logging in you accept the Sophos End User Terms of Use.\n"
  if [ "$TERMS" = y/n ]; then ask "Do you accept and want to continue? (y/n) "; else line "Proceed (yes/no)? "; fi
  case $TERMS:$choice in y/n:[yY] | yes/no:yes) ;; *) exit 1 ;; esac
fi
if [ -n "$PASSWORD" ]; then
  $BUSYBOX stty -echo
  line "Password: "
  $BUSYBOX stty echo
  echo
  [ "$choice" = "$PASSWORD" ] || { show "\nAccess denied for '$choice'\n"; exit 1; }
fi
if [ -n "$PAUSE" ]; then line "Press Enter to continue"; fi
while :; do
  main_menu
  prompt
  if fewer INVALID; then
    show "\n    Invalid Menu Selection\n"
    continue
  fi
  case $WORDING$choice in
    0 | numbers0 | foreign0 | bare0 | harmful0) exit 0 ;;
    4) line "console> " ;;
    numbers4 | foreign5 | bare5 | harmful5 | 5) fewer RETURNS || device ;;
    *) show "\n    Invalid Menu Selection\n" ;;
  esac
done
