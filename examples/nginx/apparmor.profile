# Made by tracer for "nginx". REVIEW.md has the reason and the evidence of each rule.

abi <abi/3.0>,

include <tunables/global>

profile "nginx" flags=(attach_disconnected,mediate_deleted) {
  # Observed.
  capability chown,
  capability dac_override,
  capability setgid,
  capability setuid,
  capability net_bind_service,

  network unix stream,
  network inet stream,
  network inet6 stream,

  /etc/group r,
  /etc/ld.so.cache r,
  /etc/nginx/mime.types r,
  /etc/nsswitch.conf r,
  /etc/passwd r,
  /etc/ssl/openssl.cnf r,
  @{PROC}/sys/kernel/ngroups_max r,
  /srv/nginx/html/index.html r,
  /srv/nginx/html/large.html r,
  /srv/nginx/nginx.conf r,
  /srv/nginx/server.pid rw,
  @{sys}/devices/system/cpu/online r,
  /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.* mr,
  /usr/lib/x86_64-linux-gnu/libc.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcap.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcrypt.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcrypto.so.* mr,
  /usr/lib/x86_64-linux-gnu/libm.so.* mr,
  /usr/lib/x86_64-linux-gnu/libnss_systemd.so.* mr,
  /usr/lib/x86_64-linux-gnu/libpcre2-8.so.* mr,
  /usr/lib/x86_64-linux-gnu/libssl.so.* mr,
  /usr/lib/x86_64-linux-gnu/libz.so.* mr,
  /usr/sbin/nginx mrix,
  /usr/share/zoneinfo/Etc/UTC r,
  /var/lib/nginx/body/ w,
  /var/lib/nginx/fastcgi/ w,
  /var/lib/nginx/proxy/ w,
  /var/lib/nginx/scgi/ w,
  /var/lib/nginx/uwsgi/ w,
  /var/log/nginx/access.log w,

  # Needed by workloads, but rarely exercised by tests.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (receive) peer=podman,
  signal (send, receive) peer=@{profile_name},
}
