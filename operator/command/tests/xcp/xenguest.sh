#!/bin/sh
# A stand-in for the builder: it notes its arguments, hears from xenopsd, and answers as a builder does.
root=${0%/usr/libexec/xen/bin/xenguest}
echo "$*" >>"$root/xenguest.log"
[ "$1" = -supports ] && { echo true; exit 0; }
read -r word <"/proc/self/fd/$4" && echo "heard $word" >>"$root/xenguest.log"
echo "info:building" >"/proc/self/fd/$2"
echo "result:1044476 1044477" >"/proc/self/fd/$2"
