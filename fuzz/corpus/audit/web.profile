#include <tunables/global>
profile web flags=(attach_disconnected,complain) {
  #include <abstractions/base>
  file,
  capability net_bind_service,
  deny "/etc/a b" rw, # no
  /tmp/** rw,
  owner /tmp/{a,b} ix,
  /usr/bin/x PUx -> y,
  @{PROC}/sys/** w,
  ^hat { network, }
}
