#!/bin/sh
# In the place of a GPU program in run_suite.py's folder: the CPU program CASE-cpu, or trainer
# CASE-trainer-cpu, beside it, on a device that it does not ask for.
folder=$(dirname "$0")
name=$(basename "$0")
case $name in
*-trainer-*) program=${name%%-trainer-*}-trainer-cpu ;;
*) program=${name%-*}-cpu ;;
esac
if [ "$1" = info ]; then
  echo '{"device": "none, the CPU programs stand in for it"}'
  exit
fi
for word; do
  shift
  case $word in
  --device) skips=1 ;;
  *) [ -n "$skips" ] || set -- "$@" "$word"; skips= ;;
  esac
done
exec "$folder/$program" "$@"
