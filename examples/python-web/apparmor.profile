# Made by tracer for "python-web". REVIEW.md has the reason and the evidence of each rule.

abi <abi/3.0>,

include <tunables/global>

profile "python-web" flags=(attach_disconnected,mediate_deleted) {
  # Observed.
  network unix stream,
  network inet stream,

  /dev/urandom r,
  /etc/host.conf r,
  /etc/hosts r,
  /etc/ld.so.cache r,
  /etc/locale.alias r,
  /etc/nsswitch.conf r,
  /etc/resolv.conf r,
  /etc/ssl/openssl.cnf r,
  /srv/python-web/ r,
  owner /srv/python-web/access.log w,
  /srv/python-web/app.py r,
  /srv/python-web/index.html r,
  owner /srv/python-web/notes.db rwk,
  owner /srv/python-web/notes.db-journal rw,
  owner /srv/python-web/server.pid w,
  /usr/bin/python3.11 mrix,
  /usr/lib/locale/C.utf8/LC_CTYPE r,
  /usr/lib/python3/** r,
  /usr/lib/python3.11/ r,
  /usr/lib/python3.11/lib-dynload/_bz2.cpython-311-x86_64-linux-gnu.so mr,
  /usr/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so mr,
  /usr/lib/python3.11/lib-dynload/_lzma.cpython-311-x86_64-linux-gnu.so mr,
  /usr/lib/python3.11/lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so mr,
  /usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so mr,
  /usr/lib/python3.11/** r,
  /usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache r,
  /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.* mr,
  /usr/lib/x86_64-linux-gnu/libbz2.so.* mr,
  /usr/lib/x86_64-linux-gnu/libc.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcrypto.so.* mr,
  /usr/lib/x86_64-linux-gnu/libexpat.so.* mr,
  /usr/lib/x86_64-linux-gnu/liblzma.so.* mr,
  /usr/lib/x86_64-linux-gnu/libm.so.* mr,
  /usr/lib/x86_64-linux-gnu/libsqlite3.so.* mr,
  /usr/lib/x86_64-linux-gnu/libssl.so.* mr,
  /usr/lib/x86_64-linux-gnu/libz.so.* mr,
  /usr/local/lib/python3.11/dist-packages/ r,
  /usr/local/lib/python3.11/dist-packages/_sandboxing_egress_ca.pth r,
  /usr/share/zoneinfo/Etc/UTC r,

  # Needed by workloads, but rarely exercised by tests.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (receive) peer=podman,
  signal (send, receive) peer=@{profile_name},
}
