# Made by tracer for "redis". REVIEW.md has the reason and the evidence of each rule.

abi <abi/3.0>,

include <tunables/global>

profile "redis" flags=(attach_disconnected,mediate_deleted) {
  # Observed.
  # Not observed, so not restricted: traces.
  ptrace,

  network inet stream,

  /dev/urandom r,
  /etc/ld.so.cache r,
  /etc/ssl/openssl.cnf r,
  @{PROC}/sys/net/core/somaxconn r,
  @{PROC}/sys/vm/overcommit_memory r,
  owner @{PROC}/@{pid}/smaps r,
  owner @{PROC}/@{pid}/stat r,
  /srv/redis/ r,
  owner /srv/redis/appendonlydir/ rw,
  owner /srv/redis/appendonlydir/** rw,
  owner /srv/redis/dump.rdb w,
  /srv/redis/redis.conf r,
  owner /srv/redis/redis.log w,
  owner /srv/redis/server.pid w,
  owner /srv/redis/temp-[0-9]*.rdb rw,
  owner /srv/redis/temp-rewriteaof-[0-9]*.aof rw,
  owner /srv/redis/temp-rewriteaof-bg-[0-9]*.aof rw,
  @{sys}/devices/system/clocksource/clocksource0/current_clocksource r,
  @{sys}/kernel/mm/transparent_hugepage/enabled r,
  /usr/bin/redis-check-rdb mrix,
  /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.* mr,
  /usr/lib/x86_64-linux-gnu/libatomic.so.* mr,
  /usr/lib/x86_64-linux-gnu/libc.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcap.so.* mr,
  /usr/lib/x86_64-linux-gnu/libcrypto.so.* mr,
  /usr/lib/x86_64-linux-gnu/libgcc_s.so.* mr,
  /usr/lib/x86_64-linux-gnu/libgcrypt.so.* mr,
  /usr/lib/x86_64-linux-gnu/libgpg-error.so.* mr,
  /usr/lib/x86_64-linux-gnu/libjemalloc.so.* mr,
  /usr/lib/x86_64-linux-gnu/liblz4.so.* mr,
  /usr/lib/x86_64-linux-gnu/liblzf.so.* mr,
  /usr/lib/x86_64-linux-gnu/liblzma.so.* mr,
  /usr/lib/x86_64-linux-gnu/libm.so.* mr,
  /usr/lib/x86_64-linux-gnu/libssl.so.* mr,
  /usr/lib/x86_64-linux-gnu/libstdc++.so.* mr,
  /usr/lib/x86_64-linux-gnu/libsystemd.so.* mr,
  /usr/lib/x86_64-linux-gnu/libzstd.so.* mr,
  /usr/share/zoneinfo/Etc/UTC r,

  # Needed by workloads, but rarely exercised by tests.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (receive) peer=podman,
  signal (send, receive) peer=@{profile_name},
}
